"""Datasets of the workspace: uploads, files and artifacts; their rows, previews, profiles and quarantines."""

from burnish.studio.datasets.listing import datasets as datasets
from burnish.studio.datasets.uploading import Upload as Upload
from burnish.studio.datasets.uploading import upload as upload
