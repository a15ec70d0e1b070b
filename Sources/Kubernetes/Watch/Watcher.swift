// Follows the objects of one kind: does what the machine orders, and tells what comes of it.

import Foundation
import Logging

/// What a watcher tells, in order.
public enum WatchDelivery<Object: Sendable>: Sendable {
    /// A list begins, also where an earlier one did not come to its end.
    case listBegan
    case page([Object])
    /// What the list did not tell is not there any more.
    case listEnded
    /// New or changed; also where nothing that the reader sees of it has changed.
    case changed(Object)
    /// Gone; as it was last.
    case removed(Object)
}

/// Follows the objects of one kind for as long as it runs.
///
/// An object that can't be read is left out, and said so in the log: one that doesn't look as it should must not keep
/// all others from being seen.
public struct Watcher<Object: Sendable>: Sendable {
    private let client: KubernetesClient
    private let kind: ResourceKind
    private let namespace: String?
    private let labels: String?
    private let metadataOnly: Bool
    private let timing: WatchMachine.Timing
    private let logger: Logger
    private let decode: @Sendable (JSONSlice, JSONDecoder) throws -> Object

    /// - Parameters:
    ///   - namespace: nil for all.
    ///   - labels: a label selector.
    ///   - metadataOnly: asks the server to leave out everything but the metadata.
    ///   - decode: makes an object of its JSON, for what `Decodable` is too slow or too narrow for.
    public init(
        client: KubernetesClient, kind: ResourceKind, namespace: String?, labels: String? = nil,
        metadataOnly: Bool = false, timing: WatchMachine.Timing = .init(), logger: Logger,
        decode: @escaping @Sendable (JSONSlice) throws -> Object
    ) {
        self.init(client, kind, namespace, labels, metadataOnly, timing, logger) { slice, _ in
            try decode(slice)
        }
    }

    private init(
        _ client: KubernetesClient, _ kind: ResourceKind, _ namespace: String?, _ labels: String?,
        _ metadataOnly: Bool, _ timing: WatchMachine.Timing, _ logger: Logger,
        _ decode: @escaping @Sendable (JSONSlice, JSONDecoder) throws -> Object
    ) {
        self.client = client
        self.kind = kind
        self.namespace = namespace
        self.labels = labels
        self.metadataOnly = metadataOnly
        self.timing = timing
        self.decode = decode
        var logger = logger
        logger[metadataKey: "kind"] = "\(kind.plural)"
        if let namespace { logger[metadataKey: "namespace"] = "\(namespace)" }
        self.logger = logger
    }

    /// Runs until its task is cancelled; no failure ends it. `deliver` is called for one delivery at a time, and the
    /// stream waits for it.
    public func run(_ deliver: @Sendable (WatchDelivery<Object>) async -> Void) async {
        var machine = WatchMachine(timing: timing)
        let decoder = JSONDecoder()
        while !Task.isCancelled {
            switch machine.order {
            case .list(let continuation, let limit):
                await list(continuation, limit, &machine, decoder, deliver)
            case .watch(let version):
                await watch(version, &machine, decoder, deliver)
            case .wait(let pause):
                // Cancelled: the loop's condition sees it.
                try? await Task.sleep(for: pause)
                machine.waited()
            }
        }
    }

    private func list(
        _ continuation: String?, _ limit: Int, _ machine: inout WatchMachine, _ decoder: JSONDecoder,
        _ deliver: @Sendable (WatchDelivery<Object>) async -> Void
    ) async {
        var request = APIRequest.list(
            kind, in: namespace, labels: labels, limit: limit, continuation: continuation,
            metadataOnly: metadataOnly)
        request.timeout = timing.pageTimeout
        do {
            let page = try await client.page(request)
            let meaning = machine.pageArrived(
                resourceVersion: page.resourceVersion, continuation: page.continuation)
            if meaning.isFirst { await deliver(.listBegan) }
            await deliver(.page(page.items.compactMap { object(from: $0, decoder) }))
            if meaning.isLast { await deliver(.listEnded) }
        } catch {
            report(error, "A list failed")
            machine.failed(error, chance: .random(in: 0...1))
        }
    }

    private func watch(
        _ version: String, _ machine: inout WatchMachine, _ decoder: JSONDecoder,
        _ deliver: @Sendable (WatchDelivery<Object>) async -> Void
    ) async {
        var request = APIRequest.watch(
            kind, in: namespace, labels: labels, from: version,
            timeout: timing.streamLength * Double.random(in: 1...2), metadataOnly: metadataOnly)
        request.idleTimeout = timing.silence
        do throws(APIError) {
            var stream = try await client.watch(request)
            machine.opened(at: .now)
            while let event = try await stream.next() {
                switch event {
                case .changed(let slice, let version):
                    if let object = object(from: slice, decoder) { await deliver(.changed(object)) }
                    machine.advanced(to: version)
                case .removed(let slice, let version):
                    if let object = object(from: slice, decoder) { await deliver(.removed(object)) }
                    machine.advanced(to: version)
                case .bookmark(let version):
                    machine.advanced(to: version)
                case .failed(let error):
                    throw error
                }
            }
            machine.streamEnded(at: .now, chance: .random(in: 0...1))
        } catch {
            report(error, "A watch broke off")
            machine.failed(error, chance: .random(in: 0...1))
        }
    }

    private func object(from slice: JSONSlice, _ decoder: JSONDecoder) -> Object? {
        do { return try decode(slice, decoder) } catch {
            let metadata = slice["metadata"]
            logger.warning(
                "An object can't be read and is left out",
                metadata: [
                    "name": "\(metadata?["namespace"]?.string ?? "")/\(metadata?["name"]?.string ?? "")",
                    "error": "\(error)",
                ])
            return nil
        }
    }

    private func report(_ error: APIError, _ what: Logger.Message) {
        // Ours, or a part of how watches work.
        if error.isCancelled || error.isExpired { return }
        logger.warning(what, metadata: ["error": "\(error)"])
    }
}

extension Watcher where Object: Decodable {
    /// For objects of which there are many, `decode` can do with less: see ``ObjectMeta/init(_:)``.
    public init(
        client: KubernetesClient, kind: ResourceKind, namespace: String?, labels: String? = nil,
        metadataOnly: Bool = false, timing: WatchMachine.Timing = .init(), logger: Logger
    ) {
        self.init(client, kind, namespace, labels, metadataOnly, timing, logger) { slice, decoder in
            try slice.decoded(as: Object.self, by: decoder)
        }
    }
}
