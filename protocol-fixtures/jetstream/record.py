#!/usr/bin/env python3
"""Records the files of this folder from real servers: `NATS_SERVER_BIN=… protocol-fixtures/jetstream/record.py`.

It starts single servers and a cluster of three in a temporary folder, asks them with bare sockets, and writes what they
answer, byte by byte. README.md says what each file is. Times and generated names differ from run to run; the tests
check the rest.
"""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVER = os.environ.get("NATS_SERVER_BIN", "nats-server")
HOUR = 3600 * 10**9
SECOND = 10**9

statuses = []
ack_subjects = []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client:
    """A connection with one subscription for replies, `_INBOX.fixture.>`."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.send(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n')
        self.send(b"SUB _INBOX.fixture.> 1\r\nPING\r\n")
        while self.file.readline() != b"PONG\r\n":
            pass
        self.count = 0

    def send(self, frame):
        self.socket.sendall(frame)

    def publish(self, subject, payload=b"", reply="", headers=None):
        reply = f"{reply} " if reply else ""
        if headers is None:
            self.send(f"PUB {subject} {reply}{len(payload)}\r\n".encode() + payload + b"\r\n")
            return
        block = b"NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n"
        sizes = f"{len(block)} {len(block) + len(payload)}"
        self.send(f"HPUB {subject} {reply}{sizes}\r\n".encode() + block + payload + b"\r\n")

    def receive(self):
        """The next message: subject, reply, header block and payload."""
        while True:
            line = self.file.readline()
            words = line.decode().split()
            if words[0] == "PING":
                self.send(b"PONG\r\n")
            if words[0] in ("MSG", "HMSG"):
                break
        with_headers = words[0] == "HMSG"
        sizes = [int(word) for word in (words[-2:] if with_headers else words[-1:])]
        names = words[1 : -len(sizes)]
        data = self.file.read(sizes[-1] + 2)[:-2]
        block = data[: sizes[0]] if with_headers else b""
        return names[0], names[2] if len(names) > 2 else "", block, data[len(block) :]

    def inbox(self):
        self.count += 1
        return f"_INBOX.fixture.{self.count}"

    def ask(self, subject, body=b"", headers=None):
        """Publishes with a new reply subject, and returns what comes on it."""
        inbox = self.inbox()
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.publish(subject, payload, inbox, headers)
        while True:
            message = self.receive()
            if message[0] == inbox:
                return message

    def api(self, verb, body=b"", headers=None):
        return self.ask(f"$JS.API.{verb}", body, headers)[3]

    def record(self, name, subject, body=b"", headers=None):
        """Asks, and writes the answer's payload to a file."""
        payload = self.ask(subject, body, headers)[3]
        (HERE / f"{name}.json").write_bytes(payload + b"\n")
        return json.loads(payload)

    def pull(self, stream, consumer, body=b"", until_status=True):
        """Pulls, and returns the messages; the last one is the pull's status."""
        inbox = self.inbox()
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", payload, inbox)
        messages = []
        while True:
            message = self.receive()
            # Statuses of earlier pulls may still come.
            if is_status(message) and message[0] != inbox:
                continue
            messages.append(message)
            if not until_status or is_status(message):
                return messages


def is_status(message):
    return re.match(rb"NATS/1\.0 \d", message[2]) is not None


def quoted(data):
    text = data.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n")
    return f'"{text}"'


def status(name, message):
    assert is_status(message), f"{name}: {message}"
    statuses.append(f"{name} {quoted(message[2])}")


def start(folder, config):
    path = Path(folder) / f"{len(os.listdir(folder))}.conf"
    path.write_text(config)
    return subprocess.Popen([SERVER, "-c", str(path)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def connected(port):
    for _ in range(200):
        try:
            return Client(port)
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def streams(client):
    orders = {
        "name": "ORDERS",
        "description": "all orders",
        "subjects": ["orders.>", "raw.*"],
        "retention": "limits",
        "max_consumers": 20,
        "max_msgs": 1000,
        "max_bytes": 1048576,
        "max_age": 24 * HOUR,
        "max_msgs_per_subject": 100,
        "max_msg_size": 4096,
        "discard": "new",
        "discard_new_per_subject": True,
        "storage": "file",
        "num_replicas": 1,
        "duplicate_window": 120 * SECOND,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "deny_delete": False,
        "republish": {"src": "orders.>", "dest": "copies.>", "headers_only": True},
        "subject_transform": {"src": "raw.*", "dest": "orders.{{wildcard(1)}}"},
        "compression": "s2",
        "first_seq": 100,
        "consumer_limits": {"inactive_threshold": 60 * SECOND, "max_ack_pending": 500},
        "allow_msg_ttl": True,
        "subject_delete_marker_ttl": 60 * SECOND,
        "metadata": {"team": "sales"},
    }
    made = client.record("stream_create", "$JS.API.STREAM.CREATE.ORDERS", orders)
    assert "error" not in made, made
    client.record("stream_create_exists", "$JS.API.STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["other"]})
    client.record("publish_ack", "orders.eu", b"four wheels", {"Nats-Msg-Id": "1"})
    client.record("publish_ack_duplicate", "orders.eu", b"four wheels", {"Nats-Msg-Id": "1"})
    client.record("publish_ack_wrong_sequence", "orders.eu", b"x", {"Nats-Expected-Last-Sequence": "7"})
    client.record("publish_ack_wrong_subject_sequence", "orders.eu", b"x", {"Nats-Expected-Last-Subject-Sequence": "7"})
    client.record("publish_ack_wrong_stream", "orders.eu", b"x", {"Nats-Expected-Stream": "OTHER"})
    client.record("publish_ack_wrong_message_id", "orders.eu", b"x", {"Nats-Expected-Last-Msg-Id": "9"})
    client.record("publish_ack_bad_ttl", "orders.eu", b"x", {"Nats-TTL": "0.5"})
    for n in range(2, 8):
        client.ask(f"orders.{'us' if n % 2 else 'eu'}", f"order {n}".encode(), {"Nats-Msg-Id": str(n)})
    client.record("stream_message_delete", "$JS.API.STREAM.MSG.DELETE.ORDERS", {"seq": 102})
    client.record("stream_message_delete_missing", "$JS.API.STREAM.MSG.DELETE.ORDERS", {"seq": 102})
    client.record("stream_info", "$JS.API.STREAM.INFO.ORDERS", {"deleted_details": True, "subjects_filter": ">"})
    client.record("stream_info_missing", "$JS.API.STREAM.INFO.NONE")
    client.record("stream_message_get", "$JS.API.STREAM.MSG.GET.ORDERS", {"seq": 100})
    client.record("stream_message_get_last", "$JS.API.STREAM.MSG.GET.ORDERS", {"last_by_subj": "orders.us"})
    client.record("stream_message_get_missing", "$JS.API.STREAM.MSG.GET.ORDERS", {"seq": 9999})
    direct = client.ask("$JS.API.DIRECT.GET.ORDERS", {"seq": 100})
    statuses.append(f"direct_get {quoted(direct[2])}")
    status("direct_get_missing", client.ask("$JS.API.DIRECT.GET.ORDERS", {"seq": 9999}))
    client.api("STREAM.CREATE.EVENTS", {"name": "EVENTS", "subjects": ["events.>"]})
    for n in range(3):
        client.ask(f"events.{n}", b"x")
    copy = {
        "name": "COPY",
        "mirror": {"name": "EVENTS", "opt_start_seq": 2, "subject_transforms": [{"src": "events.>", "dest": "copy.>"}]},
        "storage": "memory",
        "mirror_direct": True,
    }
    client.api("STREAM.CREATE.COPY", copy)
    external = {"api": "$JS.elsewhere.API", "deliver": "deliver.here"}
    away = {"name": "AWAY", "opt_start_time": "2026-01-02T03:04:05Z", "external": external}
    both = {"name": "BOTH", "subjects": ["both"], "sources": [{"name": "EVENTS", "filter_subject": "events.1"}, away]}
    client.api("STREAM.CREATE.BOTH", both)
    counter = {"name": "COUNT", "subjects": ["count.*"], "allow_msg_counter": True, "allow_direct": True}
    client.api("STREAM.CREATE.COUNT", counter)
    client.record("publish_ack_counter", "count.visits", b"", {"Nats-Incr": "+2"})
    batch = {
        "name": "BATCH",
        "subjects": ["batch"],
        "allow_atomic": True,
        "allow_msg_schedules": True,
        "allow_batched": True,
    }
    client.api("STREAM.CREATE.BATCH", batch)
    client.ask("batch", b"1", {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1"})
    last = {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "2", "Nats-Batch-Commit": "1"}
    client.record("publish_ack_batch", "batch", b"2", last)
    time.sleep(1.5)
    client.record("stream_info_mirror", "$JS.API.STREAM.INFO.COPY")
    client.record("stream_info_sources", "$JS.API.STREAM.INFO.BOTH")
    client.record("stream_info_features", "$JS.API.STREAM.INFO.BATCH")
    client.record("stream_list", "$JS.API.STREAM.LIST", {"offset": 0})
    client.record("stream_names", "$JS.API.STREAM.NAMES", {"offset": 0})
    client.record("stream_names_none", "$JS.API.STREAM.NAMES", {"offset": 0, "subject": "nowhere"})
    client.record("stream_purge", "$JS.API.STREAM.PURGE.BOTH", {"keep": 1})
    client.record("stream_delete", "$JS.API.STREAM.DELETE.BOTH")


def consumers(client):
    def create(name, config, action="create"):
        body = {"stream_name": "ORDERS", "config": config, "action": action}
        return f"$JS.API.CONSUMER.CREATE.ORDERS.{name}", body

    worker = {
        "name": "worker",
        "durable_name": "worker",
        "description": "handles orders",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": 100,
        "ack_policy": "explicit",
        "ack_wait": 30 * SECOND,
        "max_deliver": 5,
        "filter_subjects": ["orders.eu", "orders.us"],
        "replay_policy": "instant",
        "sample_freq": "50%",
        "max_waiting": 4,
        "max_ack_pending": 100,
        "max_batch": 50,
        "max_expires": 60 * SECOND,
        "max_bytes": 100000,
        "inactive_threshold": 50 * SECOND,
        "backoff": [SECOND, 5 * SECOND],
        "metadata": {"owner": "ops"},
    }
    made = client.record("consumer_create", *create("worker", worker))
    assert "error" not in made, made
    client.record("consumer_create_exists", *create("worker", {**worker, "max_deliver": 6}))
    nobody = {"name": "nobody", "inactive_threshold": SECOND}
    client.record("consumer_update_missing", *create("nobody", nobody, "update"))
    pinned = {
        "durable_name": "pinned",
        "ack_policy": "explicit",
        "priority_policy": "pinned_client",
        "priority_groups": ["jobs"],
        "priority_timeout": 60 * SECOND,
    }
    client.api("CONSUMER.CREATE.ORDERS.pinned", {"stream_name": "ORDERS", "config": pinned})
    push = {
        "durable_name": "push",
        "deliver_subject": "push.here",
        "deliver_policy": "last_per_subject",
        "filter_subject": "events.>",
        "ack_policy": "none",
        "flow_control": True,
        "idle_heartbeat": 5 * SECOND,
        "rate_limit_bps": 1048576,
    }
    client.api("CONSUMER.CREATE.EVENTS.push", {"stream_name": "EVENTS", "config": push})
    timed = {
        "durable_name": "timed",
        "deliver_policy": "by_start_time",
        "opt_start_time": "2026-01-02T03:04:05.000000006Z",
        "ack_policy": "all",
        "replay_policy": "original",
        "headers_only": True,
        "mem_storage": True,
        "num_replicas": 1,
    }
    client.api("CONSUMER.CREATE.ORDERS.timed", {"stream_name": "ORDERS", "config": timed})

    first, second, *rest, end = client.pull("ORDERS", "worker", {"batch": 20, "no_wait": True})
    status("no_more_messages", end)
    for name, message in (("first", first), ("second", second)):
        ack_subjects.append(f"{name} {message[1]}")
    for message in [first, *rest]:
        client.ask(message[1], b"+ACK")
    client.publish(second[1], b'-NAK {"delay": 1000000}')
    again = client.pull("ORDERS", "worker", {"batch": 1}, until_status=False)[0]
    ack_subjects.append(f"redelivered {again[1]}")
    client.record("consumer_info", "$JS.API.CONSUMER.INFO.ORDERS.worker")
    client.ask(again[1], b"+TERM")
    client.record("consumer_info_missing", "$JS.API.CONSUMER.INFO.ORDERS.nobody")
    pin = client.pull("ORDERS", "pinned", {"batch": 1, "group": "jobs", "expires": SECOND}, until_status=False)[0]
    statuses.append(f"message_with_pin {quoted(pin[2])}")
    client.record("consumer_info_pinned", "$JS.API.CONSUMER.INFO.ORDERS.pinned")
    client.record("consumer_info_push", "$JS.API.CONSUMER.INFO.EVENTS.push")
    client.record("consumer_list", "$JS.API.CONSUMER.LIST.ORDERS", {"offset": 0})
    client.record("consumer_names", "$JS.API.CONSUMER.NAMES.ORDERS", {"offset": 0})
    client.record("consumer_names_none", "$JS.API.CONSUMER.NAMES.BATCH", {"offset": 0})
    until = {"pause_until": "2036-01-01T00:00:00Z"}
    client.record("consumer_pause", "$JS.API.CONSUMER.PAUSE.ORDERS.timed", until)
    client.record("consumer_info_paused", "$JS.API.CONSUMER.INFO.ORDERS.timed")
    client.record("consumer_resume", "$JS.API.CONSUMER.PAUSE.ORDERS.timed")
    client.record("consumer_reset", "$JS.API.CONSUMER.RESET.ORDERS.worker", {"seq": 101})
    client.record("consumer_unpin", "$JS.API.CONSUMER.UNPIN.ORDERS.pinned", {"group": "jobs"})
    client.record("account_info", "$JS.API.INFO")


def pull_statuses(client):
    config = {
        "durable_name": "idle",
        "ack_policy": "explicit",
        "filter_subject": "orders.none",
        "max_waiting": 1,
        "max_batch": 10,
        "max_expires": 20 * SECOND,
        "max_bytes": 5000,
    }
    client.api("CONSUMER.CREATE.ORDERS.idle", {"stream_name": "ORDERS", "config": config})

    def pull(body, consumer="ORDERS.idle"):
        return client.pull(*consumer.split("."), body)[-1]

    status("no_messages", pull({"batch": 1, "no_wait": True}))
    status("request_timeout", pull({"batch": 3, "expires": SECOND, "max_bytes": 500}))
    status("bad_request_heartbeat", pull({"batch": 1, "expires": SECOND, "idle_heartbeat": SECOND}))
    status("bad_request_json", pull(b"{not JSON"))
    status("over_max_batch", pull({"batch": 11, "expires": SECOND}))
    status("over_max_expires", pull({"batch": 1, "expires": 21 * SECOND}))
    status("over_max_bytes", pull({"batch": 1, "expires": SECOND, "max_bytes": 5001}))
    status("bad_group", pull({"batch": 1, "expires": SECOND}, "ORDERS.pinned"))
    next_message = "$JS.API.CONSUMER.MSG.NEXT.ORDERS.idle"
    status("required_api_level", client.ask(next_message, b"", {"Nats-Required-Api-Level": "99"}))
    # One pull waits, so the second one is too many.
    client.publish(next_message, b'{"batch":1,"expires":2000000000}', client.inbox())
    time.sleep(0.3)
    status("over_max_waiting", pull({"batch": 1, "expires": SECOND}))
    time.sleep(3)
    status("idle_heartbeat", pull({"batch": 1, "expires": 3 * SECOND, "idle_heartbeat": SECOND}))
    client.api("CONSUMER.DELETE.ORDERS.idle")
    for n in range(8):
        client.ask("orders.many", b"m" * 100)
    config = {"durable_name": "many", "ack_policy": "explicit", "filter_subject": "orders.many"}
    client.api("CONSUMER.CREATE.ORDERS.many", {"stream_name": "ORDERS", "config": config})
    status("over_bytes", pull({"batch": 10, "expires": SECOND, "max_bytes": 20}, "ORDERS.many"))
    status("batch_completed", pull({"batch": 2, "expires": SECOND, "max_bytes": 4000}, "ORDERS.many"))
    status("wrong_pin", pull({"batch": 1, "group": "jobs", "id": "nobody", "expires": SECOND}, "ORDERS.pinned"))
    gone = {"durable_name": "gone", "ack_policy": "explicit", "filter_subject": "orders.none"}
    client.api("CONSUMER.CREATE.ORDERS.gone", {"stream_name": "ORDERS", "config": gone})
    status("consumer_deleted", interrupted(client, lambda: client.publish("$JS.API.CONSUMER.DELETE.ORDERS.gone")))
    status("no_responders", client.ask("$JS.API.CONSUMER.MSG.NEXT.ORDERS.gone", b""))


def interrupted(client, by):
    """The status of a waiting pull that ends early."""
    inbox = client.inbox()
    client.publish("$JS.API.CONSUMER.MSG.NEXT.ORDERS.gone", b'{"batch":1,"expires":10000000000}', inbox)
    time.sleep(0.3)
    by()
    while True:
        message = client.receive()
        if message[0] == inbox:
            return message


def on_one_server(jetstream, more, steps):
    """Runs `steps` with a client of a new server, and with its process."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = f'listen: "127.0.0.1:{port}"\nserver_name: one\njetstream {{ store_dir: "{folder}/js"{jetstream} }}\n'
        process = start(folder, config + more)
        try:
            steps(connected(port), process)
        finally:
            process.kill()
            process.wait()


def plain(client, process):
    streams(client)
    consumers(client)
    pull_statuses(client)
    gone = {"durable_name": "gone", "ack_policy": "explicit", "filter_subject": "orders.none"}
    client.api("CONSUMER.CREATE.ORDERS.gone", {"stream_name": "ORDERS", "config": gone})
    status("server_shutdown", interrupted(client, lambda: process.send_signal(signal.SIGTERM)))


def with_domain(client, _process):
    """The domain is in acknowledgements, in account info, and in the second form of ack subjects."""
    client.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s"]})
    client.record("publish_ack_domain", "s", b"x")
    client.record("account_info_domain", "$JS.hub.API.INFO")
    config = {"durable_name": "c", "ack_policy": "explicit"}
    client.api("CONSUMER.CREATE.S.c", {"stream_name": "S", "config": config})
    message = client.pull("S", "c", {"batch": 1}, until_status=False)[0]
    ack_subjects.append(f"domain {message[1]}")


def in_cluster(port):
    """A client of a cluster that has made the stream R3. A cluster without a leader doesn't answer."""
    for _ in range(30):
        client = connected(port)
        client.socket.settimeout(2)
        try:
            made = json.loads(client.api("STREAM.CREATE.R3", {"name": "R3", "subjects": ["r3"], "num_replicas": 3}))
            if "error" not in made:
                return client
        except (TimeoutError, ValueError):
            pass
        time.sleep(0.5)
    raise SystemExit("the cluster has no leader")


def cluster():
    with tempfile.TemporaryDirectory() as folder:
        ports = [free_port() for _ in range(3)]
        routes = [free_port() for _ in range(3)]
        urls = ", ".join(f'"nats://127.0.0.1:{route}"' for route in routes)
        processes = []
        try:
            for n in range(3):
                config = f"""listen: "127.0.0.1:{ports[n]}"
server_name: n{n}
jetstream {{ store_dir: "{folder}/js{n}" }}
cluster {{ name: three, listen: "127.0.0.1:{routes[n]}", routes: [{urls}] }}
"""
                processes.append(start(folder, config))
            client = in_cluster(ports[0])
            client.ask("r3", b"x")
            config = {"durable_name": "c", "ack_policy": "explicit", "filter_subject": "r3", "num_replicas": 3}
            client.api("CONSUMER.CREATE.R3.c", {"stream_name": "R3", "config": config})
            time.sleep(1)
            client.record("stream_info_cluster", "$JS.API.STREAM.INFO.R3")
            client.record("consumer_info_cluster", "$JS.API.CONSUMER.INFO.R3.c")
            wrong = {"Nats-Expected-Last-Subject-Sequence": "7"}
            client.record("publish_ack_wrong_subject_sequence_cluster", "r3", b"x", wrong)
            client.pull("R3", "c", {"batch": 1}, until_status=False)
            # A server may drop a waiting pull at an election without any status, so it is tried until one comes.
            client.socket.settimeout(3)
            for _ in range(20):
                inbox = client.inbox()
                client.publish("$JS.API.CONSUMER.MSG.NEXT.R3.c", b'{"batch":1,"expires":60000000000}', inbox)
                time.sleep(0.3)
                client.publish("$JS.API.CONSUMER.LEADER.STEPDOWN.R3.c")
                try:
                    message = client.receive()
                except TimeoutError:
                    client = connected(ports[0])
                    client.socket.settimeout(3)
                    continue
                if b"409 Leadership Change" in message[2]:
                    status("leadership_change", message)
                    break
                time.sleep(1)
        finally:
            for process in processes:
                process.kill()
                process.wait()


def main():
    for old in HERE.glob("*.json"):
        old.unlink()
    on_one_server("", "", plain)
    on_one_server(", domain: hub", "feature_flags { js_ack_fc_v2: true }\n", with_domain)
    cluster()
    version = subprocess.run([SERVER, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    heading = f"# Recorded by record.py from {version}.\n"
    (HERE / "statuses.txt").write_text(heading + "\n".join(statuses) + "\n")
    (HERE / "ack_subjects.txt").write_text(heading + "\n".join(ack_subjects) + "\n")


if __name__ == "__main__":
    main()
