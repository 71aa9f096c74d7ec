"""Stages that use or change a trained model."""
