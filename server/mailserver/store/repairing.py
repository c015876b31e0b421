"""A mailbox is looked at, and put right. What can be found on the disk, and what is done about it
(docs/storage.md has the whole list):

    index ends where the mailbox ends      clean
    index announces more than is settled   an append was cut: the journals know what it was; what
                                           is not whole then is set aside (no 250 was given for it)
    mailbox goes on behind the index       another program appended, or the index was lost
    mailbox ends before it was settled     another program shortened it
    index of another file, or none         made again from the mailbox
    mymailbox.new                          a rewrite was cut before its rename: removed

All this is for a holder of the write lock, and raises OSError.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from mailserver import durable
from mailserver.store import index, journal, orphans
from mailserver.store.index import Entry, Index
from mailserver.store.intake import Promise
from mailserver.store.journal import Put
from mailserver.store.opened import Opened
from mailserver.store.pieces import end_of, fits, read_chunks, read_index, up_to
from mailserver.store.scanning import are_records, is_whole, scan, was_cut


def look(file: Opened, promises: Iterable[Promise] | None = None) -> None:
    """See what others did, and repair it; write again what the journals promise, or what those of
    dead processes do if there is anything to finish. Raises MailboxUnusable, OSError."""
    try:
        _reopen(file, promises)
        if file.editions.read().suspects(file.inode):
            file.renew()
            _reopen(file, None)
    except BaseException:
        file.close_files()  # or what was seen by half would count as looked at
        raise


def _reopen(file: Opened, promises: Iterable[Promise] | None) -> None:
    file.open_files()
    file.finish_cut()
    found = os.fstat(file.index)
    file.index_inode, file.index_end = found.st_ino, found.st_size
    indexed = read_index(file.index, file.inode)
    if not indexed.entries:  # a new file, whose name may not be on stable storage yet
        durable.sync_directory(file.folder)
        durable.sync_directory(file.data_folder)
    in_place = True
    if promises is not None:
        in_place = _redo(file, promises, indexed)
    elif _is_unfinished(file, indexed):
        with orphans.promised(file.data_folder, file.user) as known:
            in_place = _redo(file, known, indexed)
    file.begin_edition()
    if not in_place:
        file.end_edition()
        indexed = Index([], 0)
    _reconcile(file, indexed)


def _is_unfinished(file: Opened, indexed: Index) -> bool:
    """An append was cut; or nobody can tell, for the index is lost."""
    if indexed.entries:
        return indexed.entries[-1].end > indexed.settled
    return file.end > indexed.settled


# -- what the journals promise ---------------------------------------------------------------------


def _redo(file: Opened, promises: Iterable[Promise], indexed: Index) -> bool:
    """Write again what the journals promise of this edition. False: another program put
    something else there, and the records were looked for one by one."""
    mine = file.in_force(promises, file.inode)
    last = max((one.put.offset + one.put.length for one in mine), default=0)
    if _were_moved(file, [one.put for one in mine], indexed):
        _find_or_append(file, [one for one in mine if one.put.body != journal.APART])
        return False
    misplaced: list[Promise] = []
    for one in mine:
        put = one.put
        if put.body == journal.APART:
            if file.end <= last and _is_torn(file, put):
                _cut(file, put.offset)  # what was promised with it was not acknowledged either
                break
        elif (
            not misplaced
            and put.offset <= file.end
            and fits(file.mailbox, put.offset, one.record())
        ):
            stop = durable.write_at(file.mailbox, one.record(), put.offset)
            file.end = max(file.end, stop)
        else:
            misplaced.append(one)
    if misplaced:
        _find_or_append(file, misplaced)
    return not misplaced


def _were_moved(file: Opened, puts: Sequence[Put], indexed: Index) -> bool:
    """Another program took out what was before them: they lie elsewhere, and their places may
    look as if nothing had reached them yet."""
    before = [one for one in indexed.entries if puts and one.end == puts[0].offset]
    if not before or is_whole(file.mailbox, file.end, before[0]):
        return False
    places = {one.digest: one.offset for one in scan(file.mailbox, file.end, [])}
    return any(places.get(put.digest, put.offset) != put.offset for put in puts)


def _find_or_append(file: Opened, promises: Iterable[Promise]) -> None:
    """Another program moved or removed what was before them, perhaps themselves."""
    if file.end:
        _end_with_empty_line(file)
    known = {entry.digest for entry in scan(file.mailbox, file.end, [])}
    for one in promises:
        if one.put.digest not in known:
            file.end = durable.write_at(file.mailbox, one.record(), file.end)


def _is_torn(file: Opened, put: Put) -> bool:
    """It is in the mailbox alone, and not all of it. What reached the disk need not be its
    beginning: the first block may lack, or the first sectors of it."""
    entry = Entry(put.offset, put.length, 0, put.digest, 1, 0)
    if is_whole(file.mailbox, file.end, entry):
        return False
    return fits(file.mailbox, put.offset, put.beginning)


# -- mailbox and index -----------------------------------------------------------------------------


def _reconcile(file: Opened, indexed: Index) -> None:
    """Bring index and mailbox together again."""
    known = up_to(indexed.entries, min(indexed.settled, file.end))
    if known and not is_whole(file.mailbox, file.end, known[-1]):
        known = []
    untouched = indexed.changed == file.last_change()
    if not (untouched or are_records(file.mailbox, file.end, known)):
        known = []
    if len(known) < len(up_to(indexed.entries, indexed.settled)):
        file.end_edition()  # another program rewrote the file in place
    elif indexed.settled <= file.end:
        _finish_append(file, known, indexed.entries[len(known) :])
    entries = known
    if file.end > end_of(known):
        _end_with_empty_line(file)
        entries = scan(file.mailbox, file.end, known)
    size = index.HEADER_SIZE + len(entries) * index.ENTRY_SIZE
    file.changed = file.last_change()
    if indexed != (entries, file.end, file.changed) or file.index_end != size:
        file.save(entries)


def _finish_append(file: Opened, known: list[Entry], announced: list[Entry]) -> None:
    """Add the announced records that are whole to the known ones, and set aside the rest."""
    for entry in announced:
        if is_whole(file.mailbox, file.end, entry):
            known.append(entry)
        elif file.end <= announced[-1].end and was_cut(file.mailbox, entry):
            _cut(file, entry.offset)
            return
        else:  # another program wrote there
            return


def _cut(file: Opened, end: int) -> None:
    """Set aside what is behind `end`, and let the mailbox end there."""
    if file.end > end:
        file.set_aside(file.user, read_chunks(file.mailbox, end, file.end))
        os.ftruncate(file.mailbox, end)
        file.end = end
    file.end_edition()


def _end_with_empty_line(file: Opened) -> None:
    """Let a record that another program left unfinished end as a record does, durably: what
    comes behind it is promised for a place."""
    last = os.pread(file.mailbox, 2, max(0, file.end - 2))
    text_end = file.end - (len(last) - len(last.rstrip(b"\n")))
    # written even if it is there: an earlier sync of it may have failed
    file.end = durable.write_at(file.mailbox, b"\n\n", text_end)
    file.sync()
