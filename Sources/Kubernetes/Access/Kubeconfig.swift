// Access as a kubeconfig describes it: which files count, how they are merged, and what of them is understood.

import Foundation
import Transport
import Yams

extension ClusterAccess {
    /// - Parameters:
    ///   - path: the only file that counts; nil for those that `KUBECONFIG` names, or `~/.kube/config`.
    ///   - context: nil for the current one.
    public static func kubeconfig(
        path: String? = nil, context: String? = nil, environment: [String: String]
    ) throws(ClusterAccessError) -> ClusterAccess {
        let paths = try candidates(path, environment)
        var merged = Kubeconfig()
        var found = 0
        for candidate in paths {
            // As kubectl does: of several files some may be missing.
            if paths.count > 1, access(candidate, F_OK) != 0 { continue }
            merged.add(try Kubeconfig.read(candidate))
            found += 1
        }
        guard found > 0 else {
            throw ClusterAccessError("there is none of the kubeconfig files \(paths.joined(separator: ", "))")
        }
        return try merged.access(context: context, in: paths.joined(separator: ", "))
    }

    private static func candidates(
        _ path: String?, _ environment: [String: String]
    ) throws(ClusterAccessError) -> [String] {
        if let path { return [path] }
        let named = (environment["KUBECONFIG"] ?? "").split(separator: ":").map(String.init)
        if !named.isEmpty { return named }
        guard let home = environment["HOME"], !home.isEmpty else {
            throw ClusterAccessError("no kubeconfig: neither KUBECONFIG nor HOME is set")
        }
        return ["\(home)/.kube/config"]
    }
}

/// The parts of a kubeconfig that are understood, or that must not be overlooked.
private struct Kubeconfig {
    fileprivate struct File: Decodable {
        var currentContext: String?
        var clusters: [NamedCluster]?
        var users: [NamedUser]?
        var contexts: [NamedContext]?

        enum CodingKeys: String, CodingKey {
            case currentContext = "current-context"
            case clusters, users, contexts
        }
    }

    fileprivate struct NamedCluster: Decodable { var name: String, cluster: Cluster? }
    fileprivate struct NamedUser: Decodable { var name: String, user: User? }
    fileprivate struct NamedContext: Decodable { var name: String, context: Context? }

    fileprivate struct Context: Decodable { var cluster: String?, user: String?, namespace: String? }

    fileprivate struct Cluster: Decodable {
        var server: String?
        var tlsServerName: String?
        var isInsecure: Bool?
        var authority: String?
        var authorityData: String?
        var proxy: String?

        enum CodingKeys: String, CodingKey {
            case server
            case tlsServerName = "tls-server-name"
            case isInsecure = "insecure-skip-tls-verify"
            case authority = "certificate-authority"
            case authorityData = "certificate-authority-data"
            case proxy = "proxy-url"
        }
    }

    fileprivate struct User: Decodable {
        var certificate: String?
        var certificateData: String?
        var key: String?
        var keyData: String?
        var token: String?
        var tokenFile: String?
        /// Those that this client can't do, of which the names are enough.
        var unsupported: [String] = []

        enum CodingKeys: String, CodingKey, CaseIterable {
            case token, tokenFile
            case certificate = "client-certificate"
            case certificateData = "client-certificate-data"
            case key = "client-key"
            case keyData = "client-key-data"
            case exec
            case authProvider = "auth-provider"
            case username, password
            case impersonation = "as"
            case impersonationUID = "as-uid"
            case impersonationGroups = "as-groups"
            case impersonationExtra = "as-user-extra"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            func text(_ key: CodingKeys) throws -> String? {
                try container.decodeIfPresent(String.self, forKey: key).flatMap { $0.isEmpty ? nil : $0 }
            }
            certificate = try text(.certificate)
            certificateData = try text(.certificateData)
            key = try text(.key)
            keyData = try text(.keyData)
            token = try text(.token)
            tokenFile = try text(.tokenFile)
            let others: [CodingKeys] = [
                .exec, .authProvider, .username, .password, .impersonation, .impersonationUID,
                .impersonationGroups, .impersonationExtra,
            ]
            for other in others where container.contains(other) {
                if try !container.decodeNil(forKey: other) { unsupported.append(other.rawValue) }
            }
        }
    }

    private var currentContext: String?
    // Each with the folder that its relative paths are in.
    private var clusters: [String: (Cluster, folder: String)] = [:]
    private var users: [String: (User, folder: String)] = [:]
    private var contexts: [String: Context] = [:]

    static func read(_ path: String) throws(ClusterAccessError) -> (file: File, folder: String) {
        let text = String(decoding: try SmallFile.read(path, "the kubeconfig"), as: UTF8.self)
        let folder = (path as NSString).deletingLastPathComponent
        do {
            return (
                try YAMLDecoder().decode(File.self, from: text.isEmpty ? "{}" : text),
                folder.isEmpty ? "." : folder
            )
        } catch {
            // Without the parser's words, which quote the text.
            throw ClusterAccessError(
                "the kubeconfig \(path) is not what a kubeconfig looks like\(place(of: error))")
        }
    }

    private static func place(of error: any Error) -> String {
        switch error {
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.keyNotFound(_, let context), DecodingError.dataCorrupted(let context):
            if let cause = context.underlyingError { return place(of: cause) }
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? "" : ": see \(path)"
        case YamlError.scanner(_, _, let mark, _), YamlError.parser(_, _, let mark, _),
            YamlError.composer(_, _, let mark, _):
            return ": see line \(mark.line)"
        default: return ""
        }
    }

    /// What an earlier file says counts.
    mutating func add(_ read: (file: File, folder: String)) {
        let file = read.file
        if currentContext?.isEmpty ?? true { currentContext = file.currentContext }
        for entry in file.clusters ?? [] where clusters[entry.name] == nil {
            clusters[entry.name] = entry.cluster.map { ($0, read.folder) }
        }
        for entry in file.users ?? [] where users[entry.name] == nil {
            users[entry.name] = entry.user.map { ($0, read.folder) }
        }
        for entry in file.contexts ?? [] where contexts[entry.name] == nil {
            contexts[entry.name] = entry.context
        }
    }

    func access(context wanted: String?, in files: String) throws(ClusterAccessError) -> ClusterAccess {
        guard let name = wanted ?? currentContext, !name.isEmpty else {
            throw ClusterAccessError("no current context in \(files): name one of \(list(contexts.keys))")
        }
        guard let context = contexts[name] else {
            throw ClusterAccessError("no context \"\(name)\" in \(files): there are \(list(contexts.keys))")
        }
        guard let clusterName = context.cluster, let (cluster, folder) = clusters[clusterName] else {
            throw ClusterAccessError("context \"\(name)\" in \(files) names no cluster that is there")
        }
        guard let server = cluster.server, !server.isEmpty else {
            throw ClusterAccessError("cluster \"\(clusterName)\" in \(files) has no server")
        }
        var tls = TLSSettings()
        tls.isPeerVerified = !(cluster.isInsecure ?? false)
        tls.serverName = cluster.tlsServerName.flatMap { $0.isEmpty ? nil : $0 }
        tls.authorities = try Self.content(
            cluster.authorityData, cluster.authority, folder,
            "the certificate authority of cluster \"\(clusterName)\"")
        guard tls.isPeerVerified || tls.authorities == nil else {
            throw ClusterAccessError(
                "cluster \"\(clusterName)\" in \(files) has both a certificate authority and insecure-skip-tls-verify"
            )
        }
        var source: ClusterAccess.TokenSource?
        if let userName = context.user, !userName.isEmpty {
            guard let (user, folder) = users[userName] else {
                throw ClusterAccessError("context \"\(name)\" in \(files) names no user that is there")
            }
            source = try Self.add(user, named: userName, in: folder, to: &tls)
        }
        return ClusterAccess(
            server: server, tls: tls, source: source,
            namespace: context.namespace.flatMap { $0.isEmpty ? nil : $0 } ?? "default",
            proxy: cluster.proxy.flatMap { $0.isEmpty ? nil : $0 })
    }

    private static func add(
        _ user: User, named name: String, in folder: String, to tls: inout TLSSettings
    ) throws(ClusterAccessError) -> ClusterAccess.TokenSource? {
        if let unsupported = user.unsupported.first {
            throw ClusterAccessError(
                "user \"\(name)\" of the kubeconfig has \"\(unsupported)\", which is not supported: give it a token, a "
                    + "tokenFile or a client certificate, as `kubectl create token` or a service account can")
        }
        tls.certificate = try content(
            user.certificateData, user.certificate, folder, "the client certificate of user \"\(name)\"")
        tls.key = try content(user.keyData, user.key, folder, "the client key of user \"\(name)\"")
        guard (tls.certificate == nil) == (tls.key == nil) else {
            throw ClusterAccessError(
                "user \"\(name)\" of the kubeconfig has a client certificate without its key, or the key alone"
            )
        }
        if let file = user.tokenFile { return .file(absolute(file, folder)) }
        return user.token.map { .fixed($0) }
    }

    /// Data in the kubeconfig itself come before a file that it names.
    private static func content(
        _ data: String?, _ path: String?, _ folder: String, _ what: String
    ) throws(ClusterAccessError) -> [UInt8]? {
        if let data, !data.isEmpty {
            guard let decoded = Data(base64Encoded: data, options: .ignoreUnknownCharacters), !decoded.isEmpty
            else {
                throw ClusterAccessError("\(what) is not base64")
            }
            return Array(decoded)
        }
        guard let path, !path.isEmpty else { return nil }
        return try SmallFile.read(absolute(path, folder), what)
    }

    private static func absolute(_ path: String, _ folder: String) -> String {
        path.hasPrefix("/") ? path : "\(folder)/\(path)"
    }

    private func list(_ names: some Sequence<String>) -> String {
        let names = names.sorted()
        return names.isEmpty ? "none" : names.prefix(20).joined(separator: ", ")
    }
}
