/// Owns one program as a child of this process: its start, its pipes, its signals and its end.

import CProcess
import Glibc
import Transport

/// A running program whose three standard files are pipes to this process. One thread at a time uses it.
struct ChildProcess: ~Copyable {
    /// The child leads a process group of this number, so that what it starts ends with it.
    let pid: pid_t
    private(set) var input: Int32
    private(set) var output: Int32
    private(set) var errors: Int32

    /// Starts a program, looked up in `PATH`; no shell reads the words.
    ///
    /// It inherits nothing but its three standard files. In a process group of its own it gets no Ctrl-C that is meant for this
    /// process, and is ended by whoever has it.
    ///
    /// - Parameter environment: `NAME=value`.
    /// - Throws: `.connect`, with the reason in words.
    init(_ command: [String], environment: [String]) throws(TransportError) {
        var ends = PipeEnds()
        defer { ends.closeAll() }
        let (childInput, input) = try ends.pipe()
        let (output, childOutput) = try ends.pipe()
        let (errors, childErrors) = try ends.pipe()

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, childInput, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, childOutput, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, childErrors, STDERR_FILENO)
        // Libraries may have opened files without close-on-exec.
        posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        let words = command.map { strdup($0) } + [nil]
        let variables = environment.map { strdup($0) } + [nil]
        defer { for word in words + variables { free(word) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, command.first ?? "", &actions, &attributes, words, variables)
        guard failure == 0 else {
            throw TransportError(
                .connect, "its program can't be started (\(String(cString: strerror(failure))))")
        }
        for end in [input, output, errors] {
            _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK)
            ends.keep(end)
        }
        self.pid = pid
        self.input = input
        self.output = output
        self.errors = errors
    }

    deinit {
        for end in [input, output, errors] where end >= 0 { close(end) }
    }

    /// Says to the program that nothing more comes.
    mutating func closeInput() { Self.shut(&input) }
    mutating func closeOutput() { Self.shut(&output) }
    mutating func closeErrors() { Self.shut(&errors) }

    private static func shut(_ end: inout Int32) {
        if end >= 0 { close(end) }
        end = -1
    }

    /// Sends a signal to the program and to all that it started. Not for one that was reaped: its number may be another's.
    func signal(_ number: Int32) { _ = kill(-pid, number) }

    /// Whether the program has ended. It keeps its number until it is reaped.
    var hasEnded: Bool {
        var info = siginfo_t()
        let failure = waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT)
        // A process that ignores SIGCHLD keeps no ended children.
        return failure == 0 ? info.si_signo == SIGCHLD : errno == ECHILD
    }

    /// Ends what an ended program left behind, and frees its number.
    ///
    /// - Returns: how it ended, in words.
    func reap() -> String {
        signal(SIGKILL)
        var status: Int32 = 0
        guard waitpid(pid, &status, 0) == pid else { return "ended" }
        let number = status & 0x7F
        return number == 0 ? "ended with status \(status >> 8 & 0xFF)" : "was ended by signal \(number)"
    }
}

/// Both ends of each pipe, closed at the end but for those that are kept.
private struct PipeEnds: ~Copyable {
    private var ends: [Int32] = []

    /// - Returns: the end to read from and the end to write to, neither inherited by other programs.
    mutating func pipe() throws(TransportError) -> (read: Int32, write: Int32) {
        var pair: [Int32] = [-1, -1]
        guard pipe2(&pair, O_CLOEXEC) == 0 else {
            throw TransportError(.connect, "there is no pipe for it (\(String(cString: strerror(errno))))")
        }
        ends += pair
        return (pair[0], pair[1])
    }

    mutating func keep(_ end: Int32) { ends.removeAll { $0 == end } }

    mutating func closeAll() {
        for end in ends { close(end) }
        ends = []
    }
}
