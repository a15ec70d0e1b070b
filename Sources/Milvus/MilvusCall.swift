// Lists the calls of Milvus' service that we make, each with its request and its reply.
import GRPCCore
import MilvusProtocol
import SwiftProtobuf

/// A unary call. All of ours may be repeated: rows are written by key, deleting and reading change nothing the second time.
struct MilvusCall<Request: Message, Reply: MilvusReply>: Sendable {
    let name: String
    /// The server's reasons may quote the request, so they are shown only for calls that hold neither rows nor filters.
    let showsReason: Bool

    var descriptor: MethodDescriptor {
        MethodDescriptor(fullyQualifiedService: "milvus.proto.milvus.MilvusService", method: name)
    }
}

/// What every reply of Milvus has: a verdict of its own, inside a gRPC status that says OK.
protocol MilvusReply: Message {
    var status: Wire.Status { get }
}

/// Short names for the generated types.
enum Wire {
    typealias Status = Milvus_Proto_Common_Status
    typealias Pair = Milvus_Proto_Common_KeyValuePair
    typealias Consistency = Milvus_Proto_Common_ConsistencyLevel
    typealias Placeholders = Milvus_Proto_Common_PlaceholderGroup
    typealias Placeholder = Milvus_Proto_Common_PlaceholderValue
    typealias CollectionSchema = Milvus_Proto_Schema_CollectionSchema
    typealias FieldSchema = Milvus_Proto_Schema_FieldSchema
    typealias FunctionSchema = Milvus_Proto_Schema_FunctionSchema
    typealias FieldData = Milvus_Proto_Schema_FieldData
    typealias DataType = Milvus_Proto_Schema_DataType
    typealias Version = Milvus_Proto_Milvus_GetVersionRequest
    typealias VersionReply = Milvus_Proto_Milvus_GetVersionResponse
    typealias Describe = Milvus_Proto_Milvus_DescribeCollectionRequest
    typealias Description = Milvus_Proto_Milvus_DescribeCollectionResponse
    typealias Create = Milvus_Proto_Milvus_CreateCollectionRequest
    typealias Drop = Milvus_Proto_Milvus_DropCollectionRequest
    typealias CreateIndex = Milvus_Proto_Milvus_CreateIndexRequest
    typealias DescribeIndex = Milvus_Proto_Milvus_DescribeIndexRequest
    typealias IndexDescriptions = Milvus_Proto_Milvus_DescribeIndexResponse
    typealias Load = Milvus_Proto_Milvus_LoadCollectionRequest
    typealias LoadState = Milvus_Proto_Milvus_GetLoadStateRequest
    typealias LoadStateReply = Milvus_Proto_Milvus_GetLoadStateResponse
    typealias Statistics = Milvus_Proto_Milvus_GetCollectionStatisticsRequest
    typealias StatisticsReply = Milvus_Proto_Milvus_GetCollectionStatisticsResponse
    typealias Upsert = Milvus_Proto_Milvus_UpsertRequest
    typealias Delete = Milvus_Proto_Milvus_DeleteRequest
    typealias Mutation = Milvus_Proto_Milvus_MutationResult
    typealias Search = Milvus_Proto_Milvus_SearchRequest
    typealias SearchReply = Milvus_Proto_Milvus_SearchResults
    typealias Query = Milvus_Proto_Milvus_QueryRequest
    typealias QueryReply = Milvus_Proto_Milvus_QueryResults
    typealias Flush = Milvus_Proto_Milvus_FlushRequest
    typealias FlushReply = Milvus_Proto_Milvus_FlushResponse
}

extension Wire.Pair {
    init(_ key: String, _ value: String) {
        self.init()
        self.key = key
        self.value = value
    }
}

extension Wire.Status: MilvusReply {
    var status: Wire.Status { self }
}
extension Wire.VersionReply: MilvusReply {}
extension Wire.Description: MilvusReply {}
extension Wire.IndexDescriptions: MilvusReply {}
extension Wire.LoadStateReply: MilvusReply {}
extension Wire.StatisticsReply: MilvusReply {}
extension Wire.Mutation: MilvusReply {}
extension Wire.SearchReply: MilvusReply {}
extension Wire.QueryReply: MilvusReply {}
extension Wire.FlushReply: MilvusReply {}

extension MilvusCall<Wire.Version, Wire.VersionReply> {
    static var version: Self { Self(name: "GetVersion", showsReason: true) }
}
extension MilvusCall<Wire.Describe, Wire.Description> {
    static var describe: Self { Self(name: "DescribeCollection", showsReason: true) }
}
extension MilvusCall<Wire.Create, Wire.Status> {
    static var create: Self { Self(name: "CreateCollection", showsReason: true) }
}
extension MilvusCall<Wire.Drop, Wire.Status> {
    static var drop: Self { Self(name: "DropCollection", showsReason: true) }
}
extension MilvusCall<Wire.CreateIndex, Wire.Status> {
    static var createIndex: Self { Self(name: "CreateIndex", showsReason: true) }
}
extension MilvusCall<Wire.DescribeIndex, Wire.IndexDescriptions> {
    static var describeIndex: Self { Self(name: "DescribeIndex", showsReason: true) }
}
extension MilvusCall<Wire.Load, Wire.Status> {
    static var load: Self { Self(name: "LoadCollection", showsReason: true) }
}
extension MilvusCall<Wire.LoadState, Wire.LoadStateReply> {
    static var loadState: Self { Self(name: "GetLoadState", showsReason: true) }
}
extension MilvusCall<Wire.Statistics, Wire.StatisticsReply> {
    static var statistics: Self { Self(name: "GetCollectionStatistics", showsReason: true) }
}
extension MilvusCall<Wire.Flush, Wire.FlushReply> {
    static var flush: Self { Self(name: "Flush", showsReason: true) }
}
extension MilvusCall<Wire.Upsert, Wire.Mutation> {
    static var upsert: Self { Self(name: "Upsert", showsReason: false) }
}
extension MilvusCall<Wire.Delete, Wire.Mutation> {
    static var delete: Self { Self(name: "Delete", showsReason: false) }
}
extension MilvusCall<Wire.Search, Wire.SearchReply> {
    static var search: Self { Self(name: "Search", showsReason: false) }
}
extension MilvusCall<Wire.Query, Wire.QueryReply> {
    static var query: Self { Self(name: "Query", showsReason: false) }
}
