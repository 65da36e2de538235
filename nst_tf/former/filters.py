from nst_tf.former import stands_for

stands_for("nst_tf.pictures.filters", __name__, stays=True)
