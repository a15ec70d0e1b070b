/// Opens a connection as the configuration says: TCP, TLS, a reply reader, and how the client introduces itself.
import Logging
import NIOCore
import NIOPosix

extension Link.Settings {
    /// Connects within the connect timeout.
    ///
    /// - Parameter handler: makes the end of the pipeline, which takes the reader.
    func connect<Handler: ChannelHandler>(
        to address: RedisAddress, on loop: any EventLoop,
        _ handler: @escaping @Sendable (consuming ReplyReader) -> Handler
    ) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let contexts {
                        do {
                            try pipeline.addHandler(try contexts.handler(for: address.host))
                        } catch {
                            logger.error(
                                "TLS to Redis can't be set up",
                                metadata: ["node": "\(address)", "error": "\(error)"])
                            throw LinkFault(.tls)
                        }
                    }
                    let reader = try ReplyReader(maxReplyBytes: configuration.maxReplyBytes)
                    try pipeline.addHandler(handler(reader))
                }
            }
            .connect(host: address.host, port: address.port)
    }

    /// What a new connection says first. The first of two answers is that of the authentication, where there is one.
    ///
    /// - Returns: nil where it can't be encoded.
    func greeting() -> (bytes: ByteBuffer, authenticates: Bool)? {
        let credentials = configuration.credentials()
        var bytes = ByteBuffer()
        if let credentials {
            let user = credentials.user.map { [RedisArgument($0)] } ?? []
            let words = ["AUTH"] + user + [RedisArgument(credentials.password)]
            guard CommandEncoding.append(words, to: &bytes) else { return nil }
        }
        let name = RedisArgument(configuration.clientName)
        guard CommandEncoding.append(["CLIENT", "SETNAME", name], to: &bytes) else { return nil }
        return (bytes, credentials != nil)
    }
}
