/// `agentpool render`: the objects that the controller would apply for a pool.
import ArgumentParser
import Controller
import Foundation
import Kubernetes
import PoolAPI

struct RenderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render", abstract: "Print every object that the controller would apply for a pool.",
        discussion: """
            The same bytes every time. What only a cluster knows is left out: the owner, and the annotation with the digest. \
            What the pool asks for and the features don't give is said on standard error.
            """)

    @Option(name: [.customShort("f"), .customLong("file")], help: "The manifest; - reads standard input.")
    var file: String

    @Option(help: "The worker's image where the manifest names none.")
    var image = "agentpool:\(AgentPoolCommand.configuration.version)"

    @Option(name: .shortAndLong, help: "The pool's namespace where the manifest names none.")
    var namespace: String?

    @Option(
        help: """
            What the cluster has beside Kubernetes, with commas between: keda, gateway (the Gateway API's standard channel), \
            gateway-experimental; or none.
            """)
    var features = RenderFeatures.standard

    @Option(help: "The operator's own namespace.")
    var operatorNamespace = "agentpool-system"

    @Option(help: "The namespace of KEDA's operator.")
    var kedaNamespace = "keda"

    @Option(help: "Namespaces that may read metrics, with commas between.")
    var monitoringNamespaces = "monitoring"

    func run() throws {
        let (pool, _, _) = try Configuration.manifest(file, namespace: namespace, servedIn: .cluster)
        let context = PoolContext(
            pool: pool, uid: nil,
            settings: OperatorSettings(
                image: image, namespace: operatorNamespace, kedaNamespace: kedaNamespace,
                monitoringNamespaces: monitoringNamespaces.split(separator: ",").map(String.init)),
            features: features.cluster)
        let children: [Child]
        do {
            children = try Children.desired(context)
        } catch let error as ManifestError {
            throw Configuration.failure(error.description)
        }
        for child in children { print("---\n" + (try child.manifest.yaml()), terminator: "") }
        for limitation in Children.limitations(context) {
            FileHandle.standardError.write(
                Data("agentpool: \(limitation.reason): \(limitation.message)\n".utf8))
        }
    }
}

/// The features of a cluster that is not there.
struct RenderFeatures: ExpressibleByArgument {
    var cluster: ClusterFeatures
    let defaultValueDescription: String

    static let standard = RenderFeatures(
        cluster: ClusterFeatures(hasKEDA: true, httpRoute: .standard), defaultValueDescription: "keda,gateway"
    )

    private init(cluster: ClusterFeatures, defaultValueDescription: String) {
        self.cluster = cluster
        self.defaultValueDescription = defaultValueDescription
    }

    init?(argument: String) {
        var cluster = ClusterFeatures()
        for word in argument.split(separator: ",") {
            switch word {
            case "keda": cluster.hasKEDA = true
            case "gateway": cluster.httpRoute = .standard
            case "gateway-experimental":
                cluster.httpRoute = .withSessionPersistence(fields: [
                    "sessionName", "absoluteTimeout", "idleTimeout", "type", "cookieConfig",
                    "cookieConfig.lifetimeType",
                ])
            case "none": break
            default: return nil
            }
        }
        self.init(cluster: cluster, defaultValueDescription: argument)
    }
}
