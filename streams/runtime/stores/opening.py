"""Opening the store that a worker's settings ask for."""

from pathlib import Path

from streams.memory.table_store import MemoryEntryStore
from streams.runtime.stores.rocksdb import RocksEntryStore
from streams.table_store import EntryStore, TableStore


def open_store(kind: TableStore, folder: Path, log_id: str) -> EntryStore:
    """The store of one table. `log_id`: which changelog it follows, such as its topic id.

    Raises StoreInUse or StoreFailed; files that are corrupt or follow another log are said and
    begun anew.
    """
    match kind:
        case TableStore.MEMORY:
            return MemoryEntryStore()
        case TableStore.ROCKSDB:
            return RocksEntryStore(folder, log_id)
