"""What the runtime leans on or replaces in Faust: a release that changes it fails here first."""

import inspect

import faust
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from faust.app.base import App
from faust.stores.memory import Store
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver

from streams.runtime.consumer import LaneConsumer, LaneConsumerThread


def test_the_pinned_version_is_installed() -> None:
    assert faust.__version__ == "0.15.3"


def test_every_overridden_method_exists_with_the_parameters_that_are_overridden() -> None:
    for ours, theirs, names in (
        (
            LaneConsumer,
            driver.Consumer,
            (
                "_new_consumer_thread",
                "_filter_tps_with_pending_acks",
                "_new_offset",
                "_commit_offsets",
                "wait_empty",
                "verify_event_path",
                "on_partitions_revoked",
                "on_partitions_assigned",
            ),
        ),
        (
            LaneConsumerThread,
            driver.AIOKafkaConsumerThread,
            ("_create_worker_consumer", "on_thread_stop"),
        ),
    ):
        for name in names:
            mine = list(inspect.signature(getattr(ours, name)).parameters)
            assert mine == list(inspect.signature(getattr(theirs, name)).parameters), name


def test_stock_faust_takes_a_refused_commit_for_done() -> None:
    # The reason for our _commit_offsets: the line stands outside `if did_commit`.
    lines = inspect.getsource(Consumer._commit_offsets).splitlines()
    update = next(line for line in lines if "_committed_offset.update" in line)
    condition = next(line for line in lines if "if did_commit" in line)
    assert len(update) - len(update.lstrip()) < len(condition) - len(condition.lstrip())


def test_offsets_to_commit_come_from_the_two_methods_that_are_overridden() -> None:
    assert "_filter_tps_with_pending_acks" in inspect.getsource(Consumer.force_commit)
    assert "_new_offset" in inspect.getsource(Consumer._filter_committable_offsets)


def test_partitions_are_given_up_only_after_wait_empty() -> None:
    revoking = inspect.getsource(App._on_partitions_revoked)
    suspended = revoking.index("self.flow_control.suspend")
    assert suspended < revoking.index("self._consumer_wait_empty")
    assert "consumer.wait_empty()" in inspect.getsource(App._consumer_wait_empty)


def test_a_recovery_is_told_its_generation_and_comes_from_the_table_manager() -> None:
    for name in ("on_recovery_completed", "_resume_streams"):
        assert list(inspect.signature(getattr(Recovery, name)).parameters) == [
            "self",
            "generation_id",
        ]
    assert "self._recovery = Recovery(" in inspect.getsource(TableManager.recovery.fget)  # type: ignore[attr-defined]  # a property has one


def test_the_listener_of_assignments_is_the_consumer_class_s_own() -> None:
    # It pauses what the feed reads, before Faust's consumer fetches any of it.
    subscribing = inspect.getsource(driver.AIOKafkaConsumerThread.subscribe)
    assert "RebalanceListener(self)" in subscribing or "_rebalance_listener" in subscribing


def test_the_group_is_asked_by_the_client_whose_answers_renew_the_lease() -> None:
    assert "self._client.send(" in inspect.getsource(GroupCoordinator._send_req)
    assert "self._send_req(" in inspect.getsource(GroupCoordinator._do_heartbeat)
    syncing = inspect.getsource(CoordinatorGroupRebalance._send_sync_group_request)
    assert "self._coordinator._send_req(" in syncing


def test_the_memory_store_keeps_the_partition_of_each_key_and_forgets_lost_partitions() -> None:
    forgetting = inspect.getsource(Store.on_recovery_completed)
    assert "_key_partition" in forgetting
    assert "self.data.pop" in forgetting
