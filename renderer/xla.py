"""Whether XLA is at work: it needs static shapes, and lacks some ops."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext


def is_static() -> bool:
    """Whether shapes must be static, because XLA compiles what is being traced."""
    return bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))
