"""Trackers that receive metrics: TensorBoard, Weights & Biases, SwanLab, Trackio, MLflow."""
