"""What looks on while a run goes: progress, snapshots, films, TensorBoard."""
