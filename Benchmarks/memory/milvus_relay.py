"""A relay in front of a Milvus server that counts calls and rows, and may refuse writes for a while."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
from ports import free_port
from pymilvus.grpc_gen import milvus_pb2

SERVICE = "/milvus.proto.milvus.MilvusService/"
LARGEST = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class MilvusRelay(grpc.GenericRpcHandler):
    """Listens on a port of its own. Every call goes through as bytes; only writes are read, by the protocol's own types."""

    def __init__(self, server: int) -> None:
        self.calls: Counter[str] = Counter()
        self.refused = 0
        self.written: Counter[str] = Counter()  # rows by their session's name, each writing counted
        self.rows_deleted = 0
        self._refuse = 0
        self._lock = threading.Lock()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{server}", options=LARGEST)
        self._server = grpc.server(ThreadPoolExecutor(16), handlers=[self], options=LARGEST)
        self.port = free_port()
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def close(self) -> None:
        self._server.stop(1).wait()
        self._channel.close()

    def refuse_writes(self, count: int) -> None:
        """Answers the next upserts as a server does that is away, after they have been carried out."""
        with self._lock:
            self._refuse = count

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = details.method
        metadata = [
            (k, v) for k, v in details.invocation_metadata if not k.startswith(("grpc-", "user-agent"))
        ]
        onward = self._channel.unary_unary(method)

        def pass_on(request: bytes, context: grpc.ServicerContext) -> bytes:
            name = method.removeprefix(SERVICE)
            try:
                answer: bytes = onward(request, timeout=context.time_remaining(), metadata=metadata)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            if self._note(name, request, answer):
                context.abort(grpc.StatusCode.UNAVAILABLE, "the server went away")
            return answer

        return grpc.unary_unary_rpc_method_handler(pass_on)

    def _note(self, name: str, request: bytes, answer: bytes) -> bool:
        """Counts one call; true where it is to be refused."""
        with self._lock:
            self.calls[name] += 1
            if name == "Upsert":
                self.written.update(_sessions(milvus_pb2.UpsertRequest.FromString(request)))
                if self._refuse > 0:
                    self._refuse -= 1
                    self.refused += 1
                    return True
            elif name == "Delete":
                self.rows_deleted += milvus_pb2.MutationResult.FromString(answer).delete_cnt
            return False


def _sessions(request: milvus_pb2.UpsertRequest) -> list[str]:
    """The client's name of each row's session."""
    columns = {column.field_name: column for column in request.fields_data}
    return list(columns["session_name"].scalars.string_data.data)
