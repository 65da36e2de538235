from nst_tf.former import deprecated
from nst_tf.run.transfer import Callback
from nst_tf.watch.progress_bar import ProgressBar
from nst_tf.watch.snapshots import Snapshots

__all__ = ["Callback", "ProgressBar", "Snapshots"]

deprecated(f"{__name__} is nst_tf.Callback, nst_tf.watch.progress_bar and nst_tf.watch.snapshots")
