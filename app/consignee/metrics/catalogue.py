"""Every metric, once. What each means to whoever watches is in docs/monitoring.md."""

from typing import Final

from consignee.metrics.tally import Counts, Labels, Levels, Spread

TEST: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ATTEMPT: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200)
DELIVERY: Final = (0.05, 0.25, 1, 5, 15, 60, 300, 1800, 7200, 43_200, 172_800)
WEBHOOK: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
REQUEST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Bounds of what is measured, in seconds."""


class Flow:
    """What comes in and goes out. `who` is the label of the account, if that was asked for."""

    def __init__(self, who: Labels) -> None:
        self.tests = Counts("consignee_tests", "Connectivity tests that have ended.", ("type", "outcome", "code", *who))
        self.test_seconds = Spread(
            "consignee_test_duration_seconds", "How long connectivity tests took.", TEST, ("type", "outcome")
        )
        self.result_sets = Counts("consignee_result_sets", "Result sets that were taken in.", who)
        self.files_in = Counts("consignee_received_files", "Files of the result sets that were taken in.", who)
        self.bytes_in = Counts("consignee_received_bytes", "Bytes of the result sets that were taken in.", who)
        self.attempts = Counts(
            "consignee_attempts", "Attempts at deliveries that have ended.", ("type", "outcome", "code", *who)
        )
        self.attempt_seconds = Spread(
            "consignee_attempt_duration_seconds", "How long attempts took.", ATTEMPT, ("type", "outcome")
        )
        self.files_out = Counts("consignee_delivered_files", "Files that have arrived at destinations.", ("type", *who))
        self.bytes_out = Counts("consignee_delivered_bytes", "Bytes of those files.", ("type", *who))
        self.deliveries = Counts(
            "consignee_deliveries", "Deliveries that came to rest.", ("type", "status", "code", *who)
        )
        self.delivery_seconds = Spread(
            "consignee_delivery_duration_seconds",
            "How long deliveries took, from when they were asked for.",
            DELIVERY,
            ("type", "status"),
        )
        self.changes = Counts(
            "consignee_destination_changes",
            "How often the condition of a destination changed.",
            ("change", "code", *who),
        )
        self.calls = Counts("consignee_webhook_calls", "Calls of webhooks.", ("outcome", "code", *who))
        self.call_seconds = Spread(
            "consignee_webhook_call_duration_seconds", "How long calls of webhooks took.", WEBHOOK, ("outcome",)
        )


class State:
    """How things are at the moment of a look."""

    def __init__(self) -> None:
        self.faults = Counts("consignee_faults", "What went wrong inside of the service itself.", ("where",))
        self.version = Levels("consignee_build_info", "The version that runs; always 1.", ("version",))
        self.destinations = Levels("consignee_destinations", "Destinations by their condition.", ("condition",))
        self.jobs = Levels("consignee_queue_jobs", "Unfinished jobs by what they wait for.", ("queue", "state"))
        self.oldest = Levels(
            "consignee_queue_oldest_due_seconds", "For how long the oldest job that is due has been due.", ("queue",)
        )
        self.places = Levels("consignee_places", "How many may be under way at once.", ("place",))
        self.in_use = Levels("consignee_places_in_use", "How many are under way.", ("place",))
        self.documents = Levels("consignee_store_documents", "Documents in the store.", ("kind",))
        self.bytes = Levels("consignee_store_document_bytes", "Bytes of their newest revisions.", ("kind",))
        self.commits = Counts("consignee_store_commits", "Writes of the store that were made durable, or failed.")
        self.writable = Levels("consignee_store_writable", "Whether the store can be written: 1 or 0.")
        self.disk_free = Levels("consignee_disk_free_bytes", "Free bytes on the disk with the files of result sets.")
        self.disk_size = Levels("consignee_disk_size_bytes", "All bytes of that disk.")
        self.connections = Levels("consignee_http_connections", "Open connections to the server.")
        self.most_connections = Levels("consignee_http_connections_limit", "How many connections there may be.")


class Requests:
    """What was asked over HTTP."""

    def __init__(self) -> None:
        self.counts = Counts("consignee_http_requests", "Requests that were answered.", ("route", "method", "status"))
        self.seconds = Spread(
            "consignee_http_request_duration_seconds", "How long answers took.", REQUEST, ("route", "method")
        )
