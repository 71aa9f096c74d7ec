"""Datasets of the workspace: uploads, files and artifacts; their rows, previews, profiles and quarantines."""

from burnish.studio.datasets.changing import delete as delete
from burnish.studio.datasets.changing import edit_row as edit_row
from burnish.studio.datasets.listing import datasets as datasets
from burnish.studio.datasets.quarantine import quarantine as quarantine
from burnish.studio.datasets.reading import dataset as dataset
from burnish.studio.datasets.reading import preview as preview
from burnish.studio.datasets.reading import rows as rows
from burnish.studio.datasets.uploading import Upload as Upload
from burnish.studio.datasets.uploading import upload as upload
