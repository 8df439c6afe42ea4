"""Graph -> smaller Graph: post-training quantization and the measurements that steer it."""
