"""Michelangelo's own resources, `michelangelo.api/v2`, in Fresco's own form. Pure.

`read` gives the form of one document, with a finding for each field that Fresco cannot honour; `resource` makes of it
what everything else works with, and findings about that stand where the person wrote the field.
"""

from render.compat.form import OwnForm as OwnForm
from render.compat.form import identified as identified
from render.compat.form import read as read
from render.compat.form import resource as resource
from render.compat.form import with_digest as with_digest
