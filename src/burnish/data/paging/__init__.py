"""Pages of the rows of any source, from anywhere in it, without reading what comes before."""

from burnish.data.paging.index import PageIndex as PageIndex
from burnish.data.paging.index import open_index as open_index
from burnish.data.paging.pages import head as head
from burnish.data.paging.pages import page as page
