from nst_tf.former import stands_for

stands_for("nst_tf.run.workshop", __name__)
