"""Where metrics are also sent: TensorBoard, Weights & Biases, SwanLab, Trackio, MLflow."""
