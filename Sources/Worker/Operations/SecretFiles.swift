/// Gives libraries that read keys from files the files: those that the platform mounts, or copies of a manifest's own.
import Foundation

struct SecretFiles {
    /// Where copies go; only this user can read them.
    let directory: String

    /// The path of a file with the value of a Secret's key.
    /// - Throws: where there is no such key, or no file can be written.
    func file(
        _ secret: String, _ key: String, of secrets: SecretStore, field: String
    ) throws(WorkerStartError) -> String {
        if let mounted = secrets.path(secret, key) { return mounted }
        guard let value = secrets.secret(secret)?[key] else {
            throw WorkerStartError(
                field: field, problem: "there is no key `\(key)` in a Secret `\(secret)`",
                mend: "add it as a document of the same file, or mount it in the pod")
        }
        let path = "\(directory)/\(secret).\(key)"
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            // Made before it is written, so that it is never readable by others.
            _ = FileManager.default.createFile(
                atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
            try Data(value.utf8).write(to: URL(filePath: path))
        } catch {
            throw WorkerStartError(
                field: field, problem: "the file \(path) can't be written: \(error.localizedDescription)",
                mend: "name a data directory that this user may write to")
        }
        return path
    }
}
