from nst_tf.former import stands_for

stands_for("nst_tf.watch.film", __name__, stays=True)
