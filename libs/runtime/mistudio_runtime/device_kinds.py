"""Which job kinds compute on a device."""

from mistudio import v1

DEVICE_KINDS = frozenset(
    kind.name
    for kind in v1.JobSpec.DESCRIPTOR.fields
    if kind.message_type is not None and "device" in kind.message_type.fields_by_name
)
"""Those whose spec can name one."""
