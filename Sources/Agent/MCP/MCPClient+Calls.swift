/// Decides the course of one call: when it is sent, heard, given up, and made once more.

import Transport

extension MCPClient {
    /// What servers of the older era may ask of the client during one call.
    private static let maxServerRequests = 8
    private static let maxProgressBytes = 300

    struct Call {
        var tool: Tool
        let arguments: [UInt8]
        let headers: SecretHeaders
        let deadline: ContinuousClock.Instant
        let progress: @Sendable (ToolProgress) -> Void

        func outcome(of server: MCPServerName) -> CallOutcome {
            CallOutcome(tool: tool, server: server, hidden: headers.hidden)
        }
    }

    /// Makes a call, and once more where the server said that it didn't look at it: its session is over, its era is the
    /// other one, or its schema has changed.
    func perform(_ call: Call) async -> ToolResult {
        var call = call
        let outcome = call.outcome(of: server)
        var era: MCPEra
        do {
            era = try await findEra(call.headers, until: call.deadline)
        } catch {
            return outcome.notSent(error)
        }
        let (reply, wasSent) = await send(call, era)
        if era.isOver(by: reply) {
            forget(era)
            do throws(MCPError) {
                let next = try await findEra(call.headers, until: call.deadline)
                guard next != era else { return outcome.result(of: reply, wasSent: wasSent) }
                era = next
            } catch {
                // What a server said the first time explains more than a failure to find out what it meant; a process that was
                // started anew has said nothing.
                return server.isProcess && !wasSent
                    ? outcome.notSent(error) : outcome.result(of: reply, wasSent: wasSent)
            }
        } else if era == .modern, case .error(let error, _) = reply, error.code == -32020 {
            state.withLock { $0.cache.becameOld(at: .now) }
            // Where they can't be listed, the server's refusal is what the model is told.
            let tools = try? await tools(within: call.deadline - .now)
            guard let changed = tools?.first(where: { $0.name == call.tool.name }),
                changed.inputSchema != call.tool.inputSchema
            else { return outcome.result(of: reply, wasSent: wasSent) }
            call.tool.inputSchema = changed.inputSchema
        } else {
            return outcome.result(of: reply, wasSent: wasSent)
        }
        let (second, wasSentAgain) = await send(call, era)
        if era.isOver(by: second) { forget(era) }
        return outcome.result(of: second, wasSent: wasSentAgain)
    }

    private func send(_ call: Call, _ era: MCPEra) async -> (MCPReply, wasSent: Bool) {
        let permit = SendPermit(isRepeatable: call.tool.isRepeatable)
        let id = nextID()
        let asking = MCPAsking(
            request: .call(call.tool, arguments: call.arguments), id: id, era: era, headers: call.headers,
            limit: Self.maxAnswerBytes, deadline: call.deadline, permit: permit)
        var served = 0
        let reply = await transport.ask(asking) { item in
            switch item {
            case .progress(var progress):
                progress.message = progress.message.flatMap {
                    call.headers.hidden.line($0, limit: Self.maxProgressBytes)
                }
                if progress != ToolProgress() { call.progress(progress) }
            case .toolsChanged: self.state.withLock { $0.cache.becameOld(at: .now) }
            case .request(let id, let method):
                served += 1
                if served <= Self.maxServerRequests { await self.serve(id, method, era, call) }
            case .reply: break
            }
        }.reply
        if reply.isGivenUp, permit.wasUsed { transport.takeBack(id, era: era, headers: call.headers) }
        return (reply, permit.wasUsed)
    }

    /// Answers what a server of the older era asks of the client, which has nothing to offer.
    private func serve(_ id: [UInt8], _ method: String, _ era: MCPEra, _ call: Call) async {
        guard case .session = era else { return }
        // One that doesn't hear the answer waits for it, and the call's own time bounds that.
        _ = try? await transport.tell(
            method == "ping" ? .alive(id: id) : .refuse(method: method, id: id), era: era,
            headers: call.headers, until: call.deadline)
    }
}
