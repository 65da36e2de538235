"""What a run took: against the process's own accounts."""

import resource
import time

import numpy as np
import pytest

from nst_tf.run import meter as meter_module
from nst_tf.run.meter import Growth, Meter, forget_peak


def test_processor_time_is_not_time():
    meter = Meter()
    time.sleep(0.2)
    spent = meter.spent()
    assert meter.seconds >= 0.2
    assert spent["cpu_seconds"] < 0.1


def test_processor_time_is_that_of_the_process():
    before, meter = resource.getrusage(resource.RUSAGE_SELF), Meter()
    while meter.spent()["cpu_seconds"] < 0.1:
        pass
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used == pytest.approx(0.1, abs=0.05)


def test_what_a_part_before_took_is_counted():
    meter = Meter(100.0, {"cpu_seconds": 50.0, "peak_memory": 1 << 60})
    assert 100 <= meter.seconds < 110
    spent = meter.spent()
    assert 50 <= spent["cpu_seconds"] < 60
    assert spent["peak_memory"] in (1 << 60, None)


def test_peak_memory_is_that_of_the_time_since_it_was_forgotten():
    """What was taken and given back before does not count; what was, since then, does."""
    np.ones(400 << 17).sum()  # 400 MiB
    if Meter().spent()["peak_memory"] is None:
        pytest.skip("the system does not tell the peak")
    before = Meter().spent()["peak_memory"]
    forget_peak()
    least = Meter().spent()["peak_memory"]
    assert before - least > 300 << 20
    np.ones(200 << 17).sum()
    assert Meter().spent()["peak_memory"] - least == pytest.approx(200 << 20, rel=0.1)


def test_what_work_leaves_is_there_for_more_of_it(monkeypatch):
    has = [10]
    monkeypatch.setattr(meter_module, "resident", lambda: has[0])
    growth = Growth()
    assert growth.idle == 0
    with growth.counted():
        has[0] = 14
        with growth.counted():  # in another thread, say
            has[0] = 18
            assert growth.idle == 0  # which is in use
        assert growth.idle == 0
    assert growth.idle == 8
    has[0] = 30  # the user's own
    assert growth.idle == 8
    with growth.counted():
        has[0] = 27  # what was let go
    assert growth.idle == 5
    has[0] = 12  # the system has it back
    assert growth.idle == 2
