/// The settings of the servers behind L2 and L3, under this module's names: who opens a memory need not know its clients.
public import Milvus
public import Redis

public typealias RedisSettings = RedisConfiguration
public typealias RedisServer = RedisAddress
public typealias RedisLogin = RedisCredentials
public typealias RedisEncryption = RedisTLS

public typealias MilvusSettings = MilvusConfiguration
public typealias MilvusLogin = MilvusCredentials
public typealias MilvusEncryption = MilvusTLS
