from nst_tf.former import stands_for

stands_for("nst_tf.watch.tensorboard", __name__, stays=True)
