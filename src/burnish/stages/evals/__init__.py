"""Stages that measure models."""
