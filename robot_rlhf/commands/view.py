"""`view`: a run in the Rerun viewer, or in a file for it."""

from __future__ import annotations

import msgspec

from robot_rlhf.commands.arguments import View
from robot_rlhf.commands.display import has_display
from robot_rlhf.commands.extras import need
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.store import Store, StoredEvent
from robot_rlhf.session.run_folder import DATABASE, RunError, arm_of, read_config

_NEWEST = 20


class Viewed(msgspec.Struct, frozen=True, kw_only=True):
    """What was shown, or written to the file `saved`."""

    run: str
    episodes: tuple[int, ...]
    saved: str | None

    def lines(self) -> list[str]:
        where = "the viewer has" if self.saved is None else f"{self.saved} has"
        return [f"{where} episodes {', '.join(map(str, self.episodes))} of {self.run}"]


def view(asked: View) -> Viewed:
    """Show a run's episodes, the newest where none are named. RunError or StoreError where there are none."""
    need("view", "sim", "view")
    if asked.save is None and not has_display():
        raise UsageError("there is no screen here for the viewer: --save FILE.rrd writes a file for it")
    import rerun as rr

    from robot_rlhf.report.viewer import RunLog
    from sim.description import describe
    from sim.task import make_task

    config = read_config(asked.run)
    draft = None if asked.save is None else asked.save.with_name(f".{asked.save.name}.tmp")
    with Store.open_untouched(asked.run / DATABASE) as store:
        ids = asked.episodes or tuple(store.episode_steps())[-_NEWEST:]
        if not ids:
            raise RunError(f"{asked.run} has no episodes yet: there is nothing to look at")
        said: dict[int, list[StoredEvent]] = {id: [] for id in ids}
        for event in store.feedback():
            for id in codec.episodes_of(event) & said.keys():
                said[id].append(event)
        recording = rr.RecordingStream("robot-rlhf", recording_id=f"{config.task}-{config.seed}")
        try:
            if draft is None:
                recording.spawn()
            else:
                draft.parent.mkdir(parents=True, exist_ok=True)
                recording.save(draft)
            description = describe(make_task(config.task), arm_of(asked.run, config))
            log = RunLog(recording, description, config.control_hz)
            for id in ids:
                pictures = {camera: store.pictures(id, camera) for camera in store.cameras(id)}
                log.add(store.episode(id), said[id], pictures)
            recording.flush()
            recording.disconnect()
            if asked.save is not None and draft is not None:
                draft.replace(asked.save)
        finally:
            if draft is not None:
                draft.unlink(missing_ok=True)
    return Viewed(run=str(asked.run), episodes=ids, saved=None if asked.save is None else str(asked.save))
