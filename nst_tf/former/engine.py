from nst_tf.former import stands_for

stands_for("nst_tf.network.engine", __name__)
