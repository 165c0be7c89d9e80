"""Folders of tests that are removed at the end, whatever the end is: also that of a process that was killed."""

import subprocess
import tempfile

# What is still mounted in the folder goes first; programs of a killed test may write for another moment.
REMOVE = r"""
cat
sed -n "s|^[^ ]* \($0/[^ ]*\) .*|\1|p" /proc/mounts | xargs -r umount -l
rm -rf "$0" || { sleep 3; rm -rf "$0"; }
"""


class Scratch:
    """As tempfile.TemporaryDirectory; another process, which sees the end of a pipe that only this one holds, removes
    the folder."""

    def __init__(self, prefix="cords-"):
        self.name = tempfile.mkdtemp(prefix=prefix)
        self._remover = subprocess.Popen(["sh", "-c", REMOVE, self.name], stdin=subprocess.PIPE,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                         cwd="/")

    def cleanup(self):
        self._remover.stdin.close()
        self._remover.wait()

    def __enter__(self):
        return self.name

    def __exit__(self, *_):
        self.cleanup()
