import Foundation
import Testing

@testable import Kubernetes

/// Where a cluster is and who we are: kubeconfigs, service accounts and tokens.
@Suite struct AccessTests {
    private static let authority = "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n"

    private static let twoContexts = """
        apiVersion: v1
        kind: Config
        current-context: first
        clusters:
        - name: one
          cluster: {server: "https://one.example:6443/", certificate-authority: ca.pem, tls-server-name: kubernetes}
        - name: two
          cluster: {server: "https://two.example/k8s/clusters/c1", insecure-skip-tls-verify: true, proxy-url: "http://proxy:3128"}
        users:
        - name: certified
          user: {client-certificate-data: \(Data("cert".utf8).base64EncodedString()), client-key: keys/key.pem}
        - name: token
          user: {token: 12345}
        - name: renewed
          user: {token: ignored, tokenFile: token}
        contexts:
        - name: first
          context: {cluster: one, user: certified}
        - name: second
          context: {cluster: two, user: token, namespace: shop}
        - name: third
          context: {cluster: two, user: renewed}
        preferences: {}
        """

    @Test(
        "A context leads to its server, authorities, client certificate and namespace, with paths beside the file"
    )
    func certificate() throws {
        try withFolder([
            "config": Self.twoContexts, "ca.pem": Self.authority, "keys/key.pem": "key", "token": "secret\n",
        ]) { folder in
            let access = try ClusterAccess.kubeconfig(path: "\(folder)/config", environment: [:])
            #expect(access.server == "https://one.example:6443")
            #expect(access.namespace == "default")
            #expect(access.tls.serverName == "kubernetes")
            #expect(access.tls.authorities == Array(Self.authority.utf8))
            #expect(access.tls.certificate == Array("cert".utf8))
            #expect(access.tls.key == Array("key".utf8))
            #expect(access.tls.isPeerVerified)
            let second = try ClusterAccess.kubeconfig(
                path: "\(folder)/config", context: "second", environment: [:])
            #expect(second.server == "https://two.example/k8s/clusters/c1")
            #expect(second.namespace == "shop")
            #expect(!second.tls.isPeerVerified)
            #expect(second.proxy == "http://proxy:3128")
            #expect(try Credential(second.token).token(at: .now) == "12345")
            let third = try ClusterAccess.kubeconfig(
                path: "\(folder)/config", context: "third", environment: [:])
            #expect(try Credential(third.token).token(at: .now) == "secret")
        }
    }

    @Test("Of several kubeconfigs some may be missing, and what an earlier one says counts")
    func merging() throws {
        let first = """
            contexts: [{name: c, context: {cluster: one, user: u}}]
            users: [{name: u, user: {token: first}}]
            """
        let second = """
            current-context: c
            clusters: [{name: one, cluster: {server: "http://127.0.0.1:1"}}]
            users: [{name: u, user: {token: second}}]
            """
        try withFolder(["a": first, "b": second]) { folder in
            let access = try ClusterAccess.kubeconfig(
                environment: ["KUBECONFIG": "\(folder)/a:\(folder)/missing:\(folder)/b"])
            #expect(access.server == "http://127.0.0.1:1")
            #expect(try Credential(access.token).token(at: .now) == "first")
        }
        try withFolder([
            ".kube/config": first + "\n"
                + second.replacing("users: [{name: u, user: {token: second}}]", with: "")
        ]) { folder in
            let access = try ClusterAccess.kubeconfig(environment: ["HOME": folder])
            #expect(access.server == "http://127.0.0.1:1")
        }
    }

    @Test(
        "What can't be used is said with its place and its mend",
        arguments: [
            ("", "no current context"),
            ("current-context: x", "no context \"x\""),
            ("current-context: [", "see line"),
            ("clusters: 5", "see clusters"),
            ("current-context: c\ncontexts: [{name: c, context: {cluster: gone}}]", "names no cluster"),
            (minimal(user: "exec: {command: aws}"), "\"exec\", which is not supported"),
            (minimal(user: "auth-provider: {name: oidc}"), "\"auth-provider\", which is not supported"),
            (minimal(user: "username: a, password: b"), "\"username\", which is not supported"),
            (minimal(user: "token: t, as: admin"), "\"as\", which is not supported"),
            (minimal(user: "client-certificate-data: QQ=="), "without its key"),
            (minimal(user: "client-certificate-data: '!', client-key-data: QQ=="), "is not base64"),
            (minimal(user: "client-certificate: gone.pem, client-key-data: QQ=="), "No such file"),
            (
                minimal(
                    user: "token: t",
                    cluster: "insecure-skip-tls-verify: true, certificate-authority-data: QQ=="),
                "both a certificate authority and insecure-skip-tls-verify"
            ),
        ])
    func faults(text: String, expected: String) throws {
        try withFolder(["config": text]) { folder in
            do throws(ClusterAccessError) {
                _ = try ClusterAccess.kubeconfig(path: "\(folder)/config", environment: [:])
                Issue.record("taken")
            } catch {
                #expect(error.message.contains(expected), "\(error.message)")
            }
        }
    }

    private static func minimal(user: String, cluster: String = "") -> String {
        """
        current-context: c
        clusters: [{name: k, cluster: {server: "https://a", \(cluster)}}]
        users: [{name: u, user: {\(user)}}]
        contexts: [{name: c, context: {cluster: k, user: u}}]
        """
    }

    @Test("Nothing that is printed of an access shows a secret")
    func secrets() {
        var access = ClusterAccess(server: "https://a", token: "hunter2")
        access.tls.key = Array("private".utf8)
        var dumped = ""
        dump(access, to: &dumped)
        for text in [
            "\(access)", String(reflecting: access), dumped, "\(access.tls)", String(reflecting: access.tls),
        ] {
            #expect(!text.contains("hunter2") && !text.contains("112"))
        }
    }

    @Test("A pod finds its API by its environment and its service account")
    func inCluster() throws {
        let environment = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"]
        try withFolder(["token": "t1\n", "ca.crt": Self.authority, "namespace": "ops"]) { folder in
            let access = try ClusterAccess.inCluster(environment: environment, directory: folder)
            #expect(access.server == "https://[fd00::1]:443")
            #expect(access.namespace == "ops")
            #expect(access.tls.authorities == Array(Self.authority.utf8))
            #expect(ClusterAccess.isInCluster(environment: environment))
        }
        #expect(!ClusterAccess.isInCluster(environment: [:]))
        #expect(throws: ClusterAccessError.self) {
            try ClusterAccess.inCluster(environment: [:], directory: "/")
        }
        #expect(throws: ClusterAccessError.self) {
            try ClusterAccess.inCluster(environment: environment, directory: "/nonexistent")
        }
    }

    @Test(
        "A token is read again after a minute, and at once after it was refused; a file that is gone changes nothing"
    )
    func tokenFile() throws {
        try withFolder(["token": "one"]) { folder in
            let credential = Credential(.file("\(folder)/token"))
            let start = ContinuousClock.now
            #expect(try credential.token(at: start) == "one")
            try Data("two".utf8).write(to: URL(filePath: "\(folder)/token"))
            #expect(try credential.token(at: start + .seconds(59)) == "one")
            #expect(try credential.token(at: start + .seconds(61)) == "two")
            try Data("three".utf8).write(to: URL(filePath: "\(folder)/token"))
            credential.wasRefused()
            #expect(try credential.token(at: start + .seconds(62)) == "three")
            try FileManager.default.removeItem(atPath: "\(folder)/token")
            #expect(try credential.token(at: start + .seconds(200)) == "three")
        }
        #expect(throws: ClusterAccessError.self) { try Credential(.file("/nonexistent")).token(at: .now) }
    }
}

/// A folder with these files for as long as `body` runs.
func withFolder(_ files: [String: String], _ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "kubernetes-\(UUID().uuidString)")
    for (name, text) in files {
        let file = folder.appending(path: name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }
    defer {
        // Left behind, it does no harm.
        try? FileManager.default.removeItem(at: folder)
    }
    try body(folder.path)
}
