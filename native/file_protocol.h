// What crosses the socket between Node and a container's file agent: one datagram a request, one a
// reply, in order. lib/files/protocol.ts is its typed twin.
#pragma once
#include <stdint.h>

namespace ringfort {

constexpr uint32_t kMaxFilePath = 4095;       // PATH_MAX without its NUL
constexpr uint32_t kMaxFileData = 64u << 10;  // XATTR_SIZE_MAX; also a page of a directory
constexpr uint32_t kMaxFileDirs = 256;        // handles open at once

// Where a path starts, beside the numbered handles: the agent's working directory, or the
// descriptor that came with the request, which the (then empty) path is.
constexpr uint32_t kFileCwd = 0xFFFFFFFF;
constexpr uint32_t kFilePassed = 0xFFFFFFFE;

enum FileFlag : uint32_t {
  FILE_NOFOLLOW = 1,    // a symbolic link at the end of the path is meant itself
  FILE_NOSYMLINKS = 2,  // one on the way is ELOOP
};

enum class FileOp : uint32_t {
#define FILE_OP(name, paths, data) name,
#include "file_ops.def"
#undef FILE_OP
  count
};

// Then path, path2 (each with a NUL that is not counted) and data.
struct FileRequest {
  uint32_t op;
  uint32_t id;  // the caller's; the reply carries it
  uint32_t dir, dir2;
  uint32_t flags;
  uint32_t pathSize, path2Size;
  uint32_t dataSize;
  uint64_t number[4];
};
static_assert(sizeof(FileRequest) == 64, "the encoder writes these 64 bytes");

enum class FileReplyKind : uint32_t { reply = 0, events = 1 };

struct FileReply {
  uint32_t kind;  // events: struct inotify_event, one after the other; id, error and value are 0
  uint32_t id;
  int32_t error;  // errno, 0 when none
  uint32_t last;  // 1: the listing of a directory is complete
  uint32_t value;
  uint32_t dataSize;
};
static_assert(sizeof(FileReply) == 24, "the decoder takes these 24 bytes");

constexpr uint32_t kMaxFileRequest =
    static_cast<uint32_t>(sizeof(FileRequest)) + 2 * (kMaxFilePath + 1) + kMaxFileData;

}  // namespace ringfort
