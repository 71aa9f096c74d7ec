"""Tasks of lm-evaluation-harness on burnish's engines, and multiple choice by likelihood."""
