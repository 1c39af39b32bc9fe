"""The commands that move data in and out, each with the extras it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robot_rlhf.commands.arguments import Export, ExportPolicy, Import, Moving
from robot_rlhf.commands.extras import need

if TYPE_CHECKING:
    from robot_rlhf.commands.export import Exported
    from robot_rlhf.commands.export_policy import ExportedPolicy
    from robot_rlhf.commands.importing import Imported


def move(command: Moving) -> Exported | Imported | ExportedPolicy:
    """Do what was asked, and say what came of it."""
    match command:
        case Export():
            need("export", "export")
            from robot_rlhf.commands.export import export

            return export(command)
        case Import():
            need("import", "export", "sim")
            from robot_rlhf.commands.importing import import_demonstrations

            return import_demonstrations(command)
        case ExportPolicy():
            need("export-policy", "sim", "learn")
            from robot_rlhf.commands.export_policy import export_policy

            return export_policy(command)
