// Owns the programs that tests start: posix_spawn, pipes that no other child inherits, and waits that end.
//
// Foundation's Process is not used: with about a thousand files open it reads its list of open files beyond the buffer,
// and its waits for an exit can be missed.
import Foundation
import Synchronization

/// A program that runs beside the tests. It goes on when this is dropped; its input ends then, by which a well-behaved
/// test server ends too, and so it does when the test process dies in any way.
public final class Subprocess: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    public let pid: pid_t
    private let input: Int32
    private let output: Int32
    /// What was read of the output beyond the lines that were taken.
    private let rest = Mutex<[UInt8]>([])

    /// Starts a program whose input and output are pipes to this process.
    ///
    /// - Parameters:
    ///   - command: the program, looked up in PATH, and its arguments.
    ///   - environment: in place of this process's own.
    ///   - mergesErrors: whether its standard error goes into the output too; else it is this process's.
    public init(_ command: [String], environment: [String: String]? = nil, mergesErrors: Bool = false) throws
    {
        (pid, input, output) = try Self.spawning.withLock { _ in
            let (childInput, input) = try Self.pipe()
            let (output, childOutput) = try Self.pipe()
            defer {
                close(childInput)
                close(childOutput)
            }
            let errors = mergesErrors ? childOutput : STDERR_FILENO
            do {
                let pid = try Self.spawn(
                    command, environment, input: childInput, output: childOutput, errors: errors)
                return (pid, input, output)
            } catch {
                close(input)
                close(output)
                throw error
            }
        }
    }

    /// Held from the making of pipes until they are closed to other programs, or one program would hold another's input open.
    private static let spawning = Mutex<Void>(())

    deinit {
        close(input)
        close(output)
    }

    /// Starts a program that this process neither feeds nor hears; it outlives this process unless it watches for that.
    public static func detached(_ command: [String]) throws {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw Failure(description: "/dev/null can't be opened: errno \(errno)") }
        defer { close(null) }
        _ = try spawning.withLock { _ in try spawn(command, nil, input: null, output: null, errors: null) }
    }

    /// Runs a program to its end and returns its exit status (128 and the signal's number where one ended it) and what it
    /// printed, 16 MiB at most. It is killed when it takes longer than `seconds`.
    public static func run(
        _ command: [String], seconds: Int = 120
    ) async throws -> (status: Int, output: String) {
        try await onThreadOfItsOwn {
            let process = try Subprocess(command, mergesErrors: true)
            let end = Self.now + seconds * 1000
            var bytes: [UInt8] = []
            while bytes.count < 16 << 20, let more = process.read(until: end), !more.isEmpty { bytes += more }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let status = process.exitStatus(by: end) else {
                kill(process.pid, SIGKILL)
                _ = process.exitStatus(by: Self.now + 10_000)
                throw Failure(
                    description: "\(command[0]) takes longer than \(seconds) s: \(text.suffix(500))")
            }
            return (status, text)
        }
    }

    private func exitStatus(by end: Int) -> Int? {
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) != pid {
            guard Self.now < end else { return nil }
            usleep(5000)
        }
        let signal = Int(status & 0x7f)
        return signal == 0 ? Int(status >> 8) & 0xff : 128 + signal
    }

    /// The next line of the output without its end, or nil where the output ends or no line comes in time.
    ///
    /// The calling thread waits.
    public func line(seconds: Int = 60) -> String? {
        rest.withLock { rest in
            let end = Self.now + seconds * 1000
            while true {
                if let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = String(decoding: rest[..<newline], as: UTF8.self)
                    rest.removeFirst(newline + 1)
                    return line
                }
                guard let more = read(until: end), !more.isEmpty else { return nil }
                rest += more
            }
        }
    }

    /// As `line(seconds:)`, for a task, which a thread waits for elsewhere.
    public func nextLine(seconds: Int = 60) async throws -> String? {
        try await Self.onThreadOfItsOwn { self.line(seconds: seconds) }
    }

    /// Writes a line to the program's input.
    public func send(_ line: String) throws {
        var bytes = Array((line + "\n").utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(description: "the program takes no input: errno \(errno)") }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Some bytes of the output; none at its end, nil where none come by `end`, in milliseconds of `now`.
    private func read(until end: Int) -> [UInt8]? {
        var file = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        while true {
            let left = max(0, end - Self.now)
            let ready = poll(&file, 1, Int32(clamping: left))
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { return nil }
            let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                count = max(0, Foundation.read(output, buffer.baseAddress, buffer.count))
            }
            return bytes
        }
    }

    private static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    /// Swift's few threads are for the code under test: what waits does so on another.
    private static func onThreadOfItsOwn<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let work = Unmanaged.passRetained(Work { continuation.resume(with: Result(catching: body)) })
            var thread = pthread_t()
            let failed = pthread_create(
                &thread, nil,
                {
                    guard let pointer = $0 else { return nil }
                    Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().run()
                    return nil
                }, work.toOpaque())
            if failed == 0 {
                pthread_detach(thread)
            } else {
                work.release()
                continuation.resume(throwing: Failure(description: "no thread: error \(failed)"))
            }
        }
    }

    private static func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Foundation.pipe(&ends) == 0 else { throw Failure(description: "no pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ command: [String], _ environment: [String: String]?, input: Int32, output: Int32, errors: Int32
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The child begins with no signal blocked or ignored, whatever the test runner does.
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        let words = command.map { strdup($0) } + [nil]
        let variables =
            (environment ?? ProcessInfo.processInfo.environment).map { strdup("\($0.key)=\($0.value)") } + [
                nil
            ]
        defer { for word in words + variables { free(word) } }
        var pid: pid_t = 0
        let error = posix_spawnp(&pid, command[0], &actions, &attributes, words, variables)
        guard error == 0 else {
            throw Failure(description: "\(command[0]) can't be started: \(String(cString: strerror(error)))")
        }
        return pid
    }
}

/// What a thread is given to do.
private final class Work: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}
