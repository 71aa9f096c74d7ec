"""The playground: models and adapters answer the same prompt side by side, and votes on their answers become data.

Playground.generate ─▶ references (which process has a model) ─▶ pool (processes, adapters) ─▶ asking (HTTP)
"""
