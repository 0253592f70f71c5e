// The JS face: packages/aggregator/src/join/native-usual.ts. Two calls a batch; what they share with
// JavaScript are the typed arrays of the table. Types and lengths are checked here, so that nothing can
// crash.
#include <napi.h>

#include <array>

#include "usual_records.h"

namespace skybraid::join {

namespace {

// The words of a typed array, or none if it is something else or too short.
template <typename T, napi_typedarray_type kType>
T* Words(const Napi::Value& value, size_t at_least, size_t* length = nullptr) {
  napi_typedarray_type type;
  size_t count = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(value.Env(), value, &type, &count, &data, nullptr, nullptr) != napi_ok)
    return nullptr;
  if (type != kType || count < at_least) return nullptr;
  if (length != nullptr) *length = count;
  return static_cast<T*>(data);
}

class UsualRecordsObject final : public Napi::ObjectWrap<UsualRecordsObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "UsualRecords",
                       {InstanceMethod<&UsualRecordsObject::SetChunks>("setChunks"),
                        InstanceMethod<&UsualRecordsObject::Find>("find"),
                        InstanceMethod<&UsualRecordsObject::Take>("take")});
  }

  // (seed, [rest, records, flows, edges, rows, uncomparedSlots, uncomparedRows, counts])
  explicit UsualRecordsObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<UsualRecordsObject>(info) {
    if (!Open(info)) Refuse(info.Env());
  }

 private:
  bool Open(const Napi::CallbackInfo& info) {
    if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsArray()) return false;
    usual_.table.seed = static_cast<uint32_t>(info[0].As<Napi::Number>().Int64Value());
    const auto list = info[1].As<Napi::Array>();
    const std::array<int32_t**, 8> places = {
        &found_.rest, &found_.records,          &found_.flows,           &found_.edges,
        &found_.rows, &found_.uncompared_slots, &found_.uncompared_rows, &counts_};
    for (uint32_t i = 0; i < places.size(); i++) {
      *places[i] = Words<int32_t, napi_int32_array>(list.Get(i), i + 1 < places.size() ? kColumnWords : 3);
      if (*places[i] == nullptr) return false;
    }
    scratch_ = Napi::Persistent(list.As<Napi::Object>());
    return true;
  }

  void Refuse(Napi::Env env) { Napi::TypeError::New(env, "wrong arguments").ThrowAsJavaScriptException(); }

  // The table's chunks, again whenever there is one more.
  void SetChunks(const Napi::CallbackInfo& info) {
    if (info.Length() < 1 || !info[0].IsArray()) return Refuse(info.Env());
    const auto list = info[0].As<Napi::Array>();
    std::vector<uint32_t*> chunks;
    for (uint32_t i = 0; i < list.Length(); i++) {
      chunks.push_back(Words<uint32_t, napi_uint32_array>(list.Get(i), size_t{kSlotWords} << kChunkShift));
      if (chunks.back() == nullptr) return Refuse(info.Env());
    }
    usual_.table.chunks = std::move(chunks);
    chunks_ = Napi::Persistent(list.As<Napi::Object>());
  }

  // (columns, count, isWide or undefined, index entries, session, baseMs, heard)
  void Find(const Napi::CallbackInfo& info) {
    if (info.Length() < 7) return Refuse(info.Env());
    batch_.columns = Words<uint32_t, napi_uint32_array>(info[0], 30 * kColumnWords);
    batch_.count = info[1].As<Napi::Number>().Uint32Value();
    batch_.is_wide =
        info[2].IsUndefined() ? nullptr : Words<uint8_t, napi_uint8_array>(info[2], kColumnWords);
    size_t entries = 0;
    usual_.table.entries = Words<uint32_t, napi_uint32_array>(info[3], 1, &entries);
    usual_.table.mask = static_cast<uint32_t>(entries - 1);
    batch_.session = info[4].As<Napi::Number>().Uint32Value();
    batch_.base_ms = info[5].As<Napi::Number>().Int64Value();
    batch_.heard = info[6].As<Napi::Number>().Uint32Value();
    if (batch_.columns == nullptr || batch_.count > kColumnWords || usual_.table.entries == nullptr)
      return Refuse(info.Env());
    usual_.Find(batch_, found_);
    TellCounts();
  }

  // (counters, lines to fetch)
  void Take(const Napi::CallbackInfo& info) {
    if (info.Length() < 2) return Refuse(info.Env());
    size_t length = 0;
    auto* counters = Words<double, napi_float64_array>(info[0], 0, &length);
    const auto* lines = Words<uint8_t, napi_uint8_array>(info[1], 0);
    // an empty array has no memory, and that is all it takes for no records
    if ((counters == nullptr && found_.count > 0) || batch_.columns == nullptr) return Refuse(info.Env());
    for (uint32_t n = 0; n < found_.count; n++)
      if (found_.rows[n] >= 0 && size_t(found_.rows[n]) + kCountersUsed > length) return Refuse(info.Env());
    usual_.Take(batch_, found_, counters, lines);
    TellCounts();
  }

  void TellCounts() {
    counts_[0] = static_cast<int32_t>(found_.count);
    counts_[1] = static_cast<int32_t>(found_.rest_count);
    counts_[2] = static_cast<int32_t>(found_.uncompared_count);
  }

  UsualRecords usual_;
  Batch batch_;
  Found found_;
  int32_t* counts_ = nullptr;
  Napi::ObjectReference scratch_;
  Napi::ObjectReference chunks_;
};

Napi::Value Layout(const Napi::CallbackInfo& info) {
  auto layout = Napi::Object::New(info.Env());
  for (const auto& [name, value] : Names()) layout.Set(name, value);
  return layout;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("UsualRecords", UsualRecordsObject::Define(env));
  exports.Set("layout", Napi::Function::New<Layout>(env, "layout"));
  return exports;
}

NODE_API_MODULE(skybraid_join, Init)

}  // namespace

}  // namespace skybraid::join
