// One request and its response, shared by the caller's task, which waits and reads, and the curl thread.

/// The shell around ``ExchangeState``: takes its lock, and does what it decides after letting go of it.
final class Exchange: Sendable {
    typealias HeadWaiter = UnsafeContinuation<Result<ResponseHeadParser.Head, TransportError>, Never>
    typealias Reader = UnsafeContinuation<Result<[UInt8]?, TransportError>, Never>
    typealias State = ExchangeState<HeadWaiter, Reader>

    /// Host and port, the only part of the request that errors and logs name.
    let target: String
    /// When the caller made the request, in nanoseconds of the monotonic clock.
    let begun = CurlLoop.monotonicNow()
    private let mailbox: Mailbox
    private let state: Guarded<State>
    /// Given back when the exchange ends, for the caller may keep the response for longer.
    private let slot: Guarded<RequestSlot?>

    init(target: String, mailbox: Mailbox, bufferLimit: Int, slot: consuming sending RequestSlot) {
        self.target = target
        self.mailbox = mailbox
        self.slot = Guarded(slot)
        state = Guarded(State(body: BodyBuffer(highMark: bufferLimit / 2)))
    }

    // MARK: The caller's side

    /// Submits the request and waits for the response's head.
    func head(
        of request: HTTPRequest, at target: RequestTarget
    ) async -> Result<ResponseHeadParser.Head, TransportError> {
        await withTaskCancellationHandler {
            // Unsafe continuations here and below save an allocation a wait; the state resumes each exactly once.
            await withUnsafeContinuation { waiter in
                switch state.withLock({ $0.begin(waiter) }) {
                case .submit:
                    if !mailbox.post(.start(self, request, target)) { end(.shutdown(self.target)) }
                case .fail(let waiter, let error):
                    waiter.resume(returning: .failure(error))
                }
            }
        } onCancel: {
            abandon()
        }
    }

    /// Submits the request; its response is dropped as it comes.
    func send(_ request: HTTPRequest, to target: RequestTarget) {
        state.withLock { $0.beginUnheard() }
        if !mailbox.post(.start(self, request, target)) { end(.shutdown(self.target)) }
    }

    /// The next bytes; nil at the body's end.
    func read() async -> Result<[UInt8]?, TransportError> {
        if Task.isCancelled { abandon() }
        if let result = result(of: state.withLock { $0.body.take() }) { return result }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { reader in
                if let result = result(of: state.withLock { $0.body.read(reader) }) {
                    reader.resume(returning: result)
                }
            }
        } onCancel: {
            abandon()
        }
    }

    /// Gives the exchange up: frees its connection unless it has ended.
    func abandon() {
        // Most responses have ended when they are dropped, and need no error made for them.
        if isEnded { return }
        let error = TransportError(.cancelled, "the request to \(target) was cancelled")
        guard let action = state.withLock({ $0.abandon(error) }) else { return }
        leaveSlot()
        perform(action)
        mailbox.post(.cancel(self))
    }

    private func result(of action: BodyBuffer<Reader>.ReadAction) -> Result<[UInt8]?, TransportError>? {
        switch action {
        case .deliver(let chunk, let release):
            if release { mailbox.post(.release(self)) }
            return .success(chunk)
        case .end: return .success(nil)
        case .fail(let error): return .failure(error)
        case .wait: return nil
        }
    }

    // MARK: The curl thread's side

    var isEnded: Bool { state.withLock { $0.isEnded } }

    /// The most bytes of the body that waited at one time.
    var peakWaiting: Int { state.withLock { $0.body.peak } }

    func append(_ chunk: Span<UInt8>) -> BodyBuffer<Reader>.AppendAction {
        state.withLock { $0.body.append(chunk) }
    }

    func deliver(_ head: ResponseHeadParser.Head) {
        if case .deliver(let waiter) = state.withLock({ $0.headArrived() }) {
            waiter.resume(returning: .success(head))
        }
    }

    /// Wakes the reader if bytes wait for it.
    func flush() {
        wake(state.withLock { $0.body.flush() })
    }

    func end(_ error: TransportError?) {
        leaveSlot()
        perform(state.withLock { $0.end(error) })
    }

    private func leaveSlot() {
        slot.withLock { $0 = nil }
    }

    private func perform(_ action: State.EndAction) {
        switch action {
        case .failHead(let waiter, let error): waiter.resume(returning: .failure(error))
        case .wakeReader(let action): wake(action)
        case .none: break
        }
    }

    private func wake(_ action: BodyBuffer<Reader>.WakeAction) {
        switch action {
        case .none: break
        case .deliver(let reader, let chunk, let release):
            if release { mailbox.post(.release(self)) }
            reader.resume(returning: .success(chunk))
        case .end(let reader): reader.resume(returning: .success(nil))
        case .fail(let reader, let error): reader.resume(returning: .failure(error))
        }
    }
}
