// The JS face: native/index.d.ts. Argument types are checked here so that nothing can crash; ranges with
// plain words are the business of packages/collector/src/source.
#include <napi.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>

#include "capabilities.h"
#include "capture.h"
#include "sampling.h"
#include "startup_code.h"

namespace skybraid {

namespace {

// Flushes on their way from the poll thread to JS. Beyond the bound the poll thread leaves rows in the
// kernel's ring.
class FlushQueue {
 public:
  bool HasRoom() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return bytes_ < kMaxBytes;
  }
  // True if the queue was empty: then the reader has to be woken.
  bool Push(Capture::Flush&& flush) {
    const std::lock_guard<std::mutex> lock(mutex_);
    bytes_ += flush.size();
    flushes_.push_back(std::move(flush));
    return flushes_.size() == 1;
  }
  bool Pop(Capture::Flush& flush) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (flushes_.empty()) return false;
    flush = std::move(flushes_.front());
    flushes_.pop_front();
    bytes_ -= flush.size();
    return true;
  }

 private:
  static constexpr size_t kMaxBytes = 8u << 20;
  std::mutex mutex_;
  std::deque<Capture::Flush> flushes_;
  size_t bytes_ = 0;
};

class CaptureObject final : public Napi::ObjectWrap<CaptureObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Capture",
                       {InstanceMethod<&CaptureObject::Counters>("counters"),
                        InstanceMethod<&CaptureObject::SetSampling>("setSampling"),
                        InstanceMethod<&CaptureObject::SetPartitions>("setPartitions"),
                        InstanceMethod<&CaptureObject::Close>("close")});
  }

  explicit CaptureObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CaptureObject>(info) {}

  ~CaptureObject() override { Shut(Env(), false); }

  // False with a pending exception if nothing could be attached.
  bool Start(Napi::Env env, const CaptureOptions& options, Napi::Function on_flush) {
    on_flush_ = Napi::Persistent(on_flush);
    wake_ = Napi::ThreadSafeFunction::New(env, Napi::Function(), "skybraid flush", 0, 1);
    Capture::Reader reader;
    reader.has_room = [this] { return queue_.HasRoom(); };
    reader.deliver = [this](Capture::Flush&& flush) {
      if (queue_.Push(std::move(flush)))
        wake_.NonBlockingCall([this](Napi::Env js, Napi::Function) { Read(js); });
    };
    capture_ = std::make_unique<Capture>(options, KernelSource::Create(), std::move(reader));
    const OpenResult result = capture_->Start();
    if (!result.ok) {
      Shut(env, false);
      Napi::Error::New(env, result.error).ThrowAsJavaScriptException();
      return false;
    }
    napi_add_env_cleanup_hook(env, &CaptureObject::OnEnvironmentEnd, this);
    hooked_ = true;
    Ref();  // runs until it is closed, held by nobody or not
    Describe(env, result);
    return true;
  }

 private:
  void Describe(Napi::Env env, const OpenResult& result) {
    Napi::Array hooks = Napi::Array::New(env, result.hooks.size());
    for (uint32_t i = 0; i < result.hooks.size(); i++) {
      Napi::Object hook = Napi::Object::New(env);
      hook.Set("hook", result.hooks[i].hook);
      hook.Set("attached", result.hooks[i].attached);
      hook.Set("reason", result.hooks[i].reason);
      hook.Set("consequence", result.hooks[i].consequence);
      hooks.Set(i, hook);
    }
    Value().Set("hooks", hooks);
    Value().Set("capabilities", static_cast<double>(result.capabilities));
  }

  // Hands every queued flush to JS. Stops at an exception of the callback, which then is uncaught as any
  // other.
  bool Read(Napi::Env env) {
    Napi::HandleScope scope(env);
    Capture::Flush flush;
    while (queue_.Pop(flush)) {
      Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, flush.size());
      memcpy(buffer.Data(), flush.data(), flush.size());
      on_flush_.Call({buffer});
      if (env.IsExceptionPending()) {
        // The rest must not wait for the next flush to be woken for.
        if (!closed_) wake_.NonBlockingCall([this](Napi::Env js, Napi::Function) { Read(js); });
        return false;
      }
    }
    return true;
  }

  void Shut(Napi::Env env, bool deliver) {
    if (closed_) return;
    closed_ = true;
    if (capture_ != nullptr) {
      capture_->Stop();
      counters_ = capture_->Counters();
    }
    if (deliver) {
      // A throwing callback does not cost the flushes after it; its first error is thrown in the end.
      Napi::Error first;
      while (!Read(env)) {
        const Napi::Error error = env.GetAndClearPendingException();
        if (first.IsEmpty()) first = error;
      }
      if (!first.IsEmpty()) first.ThrowAsJavaScriptException();
    }
    if (hooked_) napi_remove_env_cleanup_hook(env, &CaptureObject::OnEnvironmentEnd, this);
    capture_.reset();
    if (wake_) wake_.Release();
  }

  // The process or worker ends without close(): the thread must be joined and the programs detached all the
  // same. The function that wakes JS is freed before this object is, so it is let go here.
  static void OnEnvironmentEnd(void* self) {
    auto* object = static_cast<CaptureObject*>(self);
    object->closed_ = true;
    object->capture_->Stop();
    object->capture_.reset();
    object->wake_.Release();
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    if (closed_) return info.Env().Undefined();
    Shut(info.Env(), true);
    Unref();
    return info.Env().Undefined();
  }

  Napi::Value SetSampling(const Napi::CallbackInfo& info) {
    const double exponent =
        info.Length() > 0 && info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
    if (!(exponent >= 0 && exponent <= kMaxSampling)) {
      Napi::TypeError::New(info.Env(), "setSampling takes a number from 0 to 15")
          .ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    if (capture_ != nullptr) capture_->SetSampling(static_cast<uint32_t>(exponent));
    return info.Env().Undefined();
  }

  Napi::Value SetPartitions(const Napi::CallbackInfo& info) {
    double numbers[3] = {-1, -1, -1};
    for (size_t i = 0; i < 3 && i < info.Length(); i++)
      if (info[i].IsNumber()) numbers[i] = info[i].As<Napi::Number>().DoubleValue();
    const auto [first, count, minute] = numbers;
    if (!(first >= 0 && count >= 1 && count <= 256 && first + count <= 65'536 && minute >= 0 &&
          minute < 1e9)) {
      Napi::TypeError::New(info.Env(), "setPartitions takes the first number, how many, and a minute")
          .ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    if (capture_ != nullptr)
      capture_->SetPartitions(static_cast<uint32_t>(first), static_cast<uint32_t>(count),
                              static_cast<uint64_t>(minute));
    return info.Env().Undefined();
  }

  Napi::Value Counters(const Napi::CallbackInfo& info) {
    const CaptureCounters c = capture_ != nullptr ? capture_->Counters() : counters_;
    Napi::Object object = Napi::Object::New(info.Env());
    const auto set = [&object](const char* name, uint64_t value) {
      object.Set(name, static_cast<double>(value));
    };
    set("ringProduced", c.kernel[SB_C_RING_PRODUCED]);
    set("ringConsumed", c.ring_consumed);
    set("ringFull", c.kernel[SB_C_RING_FULL]);
    set("storageRefused", c.kernel[SB_C_STORAGE_REFUSED]);
    set("udpMapFull", c.kernel[SB_C_UDP_MAP_FULL]);
    set("flowTableFull", c.flows.full);
    set("adopted", c.kernel[SB_C_ADOPTED]);
    set("keyUnsettled", c.kernel[SB_C_KEY_UNSETTLED]);
    set("sockets", c.kernel[SB_C_SOCKETS]);
    set("openFlows", c.open_flows);
    set("recordsEncoded", c.flows.made);
    set("recordsMerged", c.flows.merged);
    set("recordsSampledOut", c.flows.sampled_out);
    set("dnsMalformed", c.dns_malformed);
    set("dnsUnasked", c.dns_unasked);
    set("stateChangesMissed", c.kernel[SB_C_MISSED]);
    set("endsMadeUpFor", c.kernel[SB_C_MADE_UP_FOR]);
    set("dialsFull", c.kernel[SB_C_DIALS_FULL]);
    set("rowsAfterClose", c.flows.after_close);
    set("rowsRegressed", c.flows.regressed);
    object.Set("l7", ProtocolCounters(info.Env(), c));
    return object;
  }

  static Napi::Object ProtocolCounters(Napi::Env env, const CaptureCounters& c) {
    Napi::Object object = Napi::Object::New(env);
    const auto set = [&object](const char* name, uint64_t value) {
      object.Set(name, static_cast<double>(value));
    };
    const l7::ConversationCounters& said = c.l7.conversations;
    set("pieces", c.l7.pieces);
    set("ringFull", c.kernel[SB_C_L7_RING_FULL]);
    set("stateRefused", c.kernel[SB_C_L7_REFUSED]);
    set("cut", c.kernel[SB_C_L7_CUT]);
    set("gap", c.l7.gaps + said.pairing.gaps);
    set("timesFull", c.l7.ledger.untimed);
    set("misplaced", c.kernel[SB_C_L7_MISPLACED]);
    set("late", c.l7.late);
    set("malformed", c.l7.malformed);
    set("givenUp", said.given_up);
    set("unpaired", said.pairing.unpaired);
    set("outOfStep", said.pairing.out_of_step);
    set("operationsFull", c.l7.ledger.other);
    set("rowsFull", c.l7.ledger.lost + said.forgotten);
    Napi::Array verdicts = Napi::Array::New(env, l7::kProtocols);
    for (uint32_t i = 0; i < l7::kProtocols; i++) verdicts.Set(i, static_cast<double>(said.verdicts[i]));
    object.Set("verdicts", verdicts);
    return object;
  }

  FlushQueue queue_;
  Napi::FunctionReference on_flush_;
  Napi::ThreadSafeFunction wake_;
  std::unique_ptr<Capture> capture_;
  CaptureCounters counters_;
  bool hooked_ = false;
  bool closed_ = false;
};

// Reads an option of the expected type; false with a pending TypeError if it is another.
bool ReadText(const Napi::Object& options, const char* name, std::string& out) {
  const Napi::Value value = options.Get(name);
  if (!value.IsString()) {
    Napi::TypeError::New(options.Env(), std::string(name) + " must be a string").ThrowAsJavaScriptException();
    return false;
  }
  out = value.As<Napi::String>();
  return true;
}

bool ReadCount(const Napi::Object& options, const char* name, uint32_t most, uint32_t& out) {
  const Napi::Value value = options.Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  if (!(number >= 1 && number <= most)) {
    const std::string text = std::string(name) + " must be a number from 1 to " + std::to_string(most);
    Napi::TypeError::New(options.Env(), text).ThrowAsJavaScriptException();
    return false;
  }
  out = static_cast<uint32_t>(number);
  return true;
}

bool ReadOptions(const Napi::Object& from, CaptureOptions& to) {
  to.source.udp = from.Get("udp").ToBoolean();
  const Napi::Value l7 = from.Get("l7");
  to.l7.protocols = l7.IsNumber() ? l7.As<Napi::Number>().Uint32Value() : 0;
  to.source.l7 = to.l7.protocols != 0;
  to.source.l7_dns = (to.l7.protocols >> static_cast<uint32_t>(l7::Protocol::kDns) & 1) != 0;
  to.source.task_files = from.Get("taskFiles").ToBoolean();
  return ReadText(from, "objectDir", to.source.object_dir) &&
         ReadText(from, "cgroupPath", to.source.cgroup_path) &&
         ReadCount(from, "ringBytes", 1u << 30, to.source.ring_bytes) &&
         ReadCount(from, "flushMs", 60'000, to.flush_ms) &&
         ReadCount(from, "partitions", 256, to.partitions) &&
         ReadCount(from, "maxFlows", 1u << 24, to.max_flows) &&
         ReadCount(from, "reportMs", 86'400'000, to.report_ms) &&
         ReadCount(from, "announceMs", 86'400'000, to.announce_ms);
}

Napi::Value Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsObject() || !info[1].IsFunction()) {
    Napi::TypeError::New(env, "open takes options and a function").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  CaptureOptions options;
  if (!ReadOptions(info[0].As<Napi::Object>(), options)) return env.Undefined();
  auto* constructor = static_cast<Napi::FunctionReference*>(info.Data());
  Napi::Object object = constructor->New({});
  if (env.IsExceptionPending()) return env.Undefined();
  if (!CaptureObject::Unwrap(object)->Start(env, options, info[1].As<Napi::Function>()))
    return env.Undefined();
  return object;
}

Napi::Value Release(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(ReleaseStartupCode()));
}

// Answers what went wrong; an empty text if nothing did.
Napi::Value Drop(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), DropCapabilities()); }

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  // The class lives as long as the environment, and no longer: several environments can load this addon.
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(CaptureObject::Define(env)));
  env.SetInstanceData<Napi::FunctionReference>(constructor);
  exports.Set("open", Napi::Function::New(env, Open, "open", constructor));
  exports.Set("dropCapabilities", Napi::Function::New(env, Drop, "dropCapabilities"));
  exports.Set("releaseStartupCode", Napi::Function::New(env, Release, "releaseStartupCode"));
  return exports;
}

}  // namespace

}  // namespace skybraid

Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return skybraid::Init(env, exports); }
NODE_API_MODULE(skybraid, InitAddon)
