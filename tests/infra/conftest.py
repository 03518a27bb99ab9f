"""Lets these tests run by themselves: some need Beam, others MindSpore.

MindSpore comes first: it cannot be imported where Beam has been.
"""

import mindspore  # noqa: F401
