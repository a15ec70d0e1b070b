/// `agentpool controller`: the operator's process.
import ArgumentParser
import Controller
import Foundation
import Kubernetes
import Logging

struct ControllerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "controller", abstract: "Make of every AgentPool in a cluster what its spec says.",
        discussion: """
            Runs in a cluster with its ServiceAccount's token, anywhere else with a kubeconfig. Of several only the one that holds \
            the lease writes. SIGTERM gives the lease back and ends within a few seconds.
            """)

    @Option(help: "The namespaces whose pools are served, with commas between. Default: all.")
    var namespaces: String?

    @Option(help: "Where the lease is. Default: the process's own namespace.")
    var leaderElectionNamespace: String?

    @Option(help: "The lease under which one controller of several leads.")
    var leaseName = "agentpool-controller"

    @Option(
        help: "A kubeconfig. Default: KUBECONFIG, else the cluster around the process, else ~/.kube/config.")
    var kubeconfig: String?

    @Option(help: "The kubeconfig's context. Default: its current one.")
    var context: String?

    @Option(help: "The worker's image where a pool names none: the operator's own.")
    var image = "agentpool:\(AgentPoolCommand.configuration.version)"

    @Option(help: "Pools that are worked on at one time.")
    var workers = 4

    @Option(help: "Calls of the API server a second in the long run.")
    var kubeApiQps = 200.0

    @Option(help: "Calls of the API server that may be made at once after a pause.")
    var kubeApiBurst = 400

    @Option(help: "The port of /livez, /readyz and /metrics.")
    var metricsPort = 8081

    @Option(help: "The address of that port.")
    var metricsHost = "0.0.0.0"

    @Option(help: "The namespace of KEDA's operator.")
    var kedaNamespace = "keda"

    @Option(help: "Namespaces whose pods may read the workers' metrics, with commas between.")
    var monitoringNamespaces = "monitoring"

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: Logger.Level = .info

    func validate() throws {
        guard workers > 0 else { throw ValidationError("--workers must be at least 1") }
        guard kubeApiQps > 0, kubeApiBurst > 0 else {
            throw ValidationError("--kube-api-qps and --kube-api-burst must be more than 0")
        }
        guard (0...65_535).contains(metricsPort) else {
            throw ValidationError("--metrics-port must be from 0 to 65535")
        }
    }

    func run() async throws {
        LogOutput.bootstrap(level: logLevel)
        let logger = Logger(label: "agentpool")
        let access = try access()
        OpenFiles.raiseLimit(logger)
        let namespace = leaderElectionNamespace ?? access.namespace
        var options = ControllerOptions(
            identity: LeaderElection.identity(pod: ProcessInfo.processInfo.hostName))
        options.namespaces = namespaces.map(Self.names)
        options.workers = workers
        options.leaseName = leaseName
        options.leaseNamespace = namespace
        options.metricsPort = metricsPort
        options.metricsHost = metricsHost
        options.onListening = { port in
            logger.info("metrics and health are served", metadata: ["port": "\(port)"])
        }
        let client = KubernetesClient(
            access: access, limits: RequestLimits(perSecond: kubeApiQps, burst: kubeApiBurst), logger: logger)
        let controller = Operator(
            client: client,
            settings: OperatorSettings(
                image: image, namespace: namespace, kedaNamespace: kedaNamespace,
                monitoringNamespaces: Self.names(monitoringNamespaces)),
            options: options, logger: logger)
        logger.info(
            "the controller starts",
            metadata: ["server": "\(access.server)", "identity": "\(options.identity)"])
        do {
            try await Lifetime.run(controller, logger)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    private func access() throws -> ClusterAccess {
        let environment = ProcessInfo.processInfo.environment
        let isNamed = kubeconfig != nil || context != nil || environment["KUBECONFIG"]?.isEmpty == false
        do throws(ClusterAccessError) {
            if !isNamed, ClusterAccess.isInCluster(environment: environment) {
                return try .inCluster(environment: environment)
            }
            return try .kubeconfig(path: kubeconfig, context: context, environment: environment)
        } catch {
            throw Configuration.failure(error.message)
        }
    }

    private static func names(_ list: String) -> [String] {
        list.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
}
