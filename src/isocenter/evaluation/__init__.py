"""Judging images, whoever made them: fidelity, physics, lesions, texture, uncertainty."""
