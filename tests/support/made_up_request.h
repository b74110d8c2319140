#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/request/request_fields.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera::testing {

// GenerateImageRequest with one more field, `optional double strength`, which no code knows.
class MadeUpRequest {
 public:
  MadeUpRequest() {
    google::protobuf::FileDescriptorProto file;
    file.set_name("made_up.proto");
    file.set_package("made_up");
    file.set_syntax("proto3");
    file.add_dependency(v1::GenerateImageRequest::descriptor()->file()->name());
    google::protobuf::DescriptorProto& message = *file.add_message_type();
    v1::GenerateImageRequest::descriptor()->CopyTo(&message);
    google::protobuf::FieldDescriptorProto& field = *message.add_field();
    field.set_name("strength");
    field.set_number(1000);
    field.set_type(google::protobuf::FieldDescriptorProto::TYPE_DOUBLE);
    field.set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
    field.set_proto3_optional(true);
    field.set_oneof_index(message.oneof_decl_size());
    message.add_oneof_decl()->set_name("_strength");
    const google::protobuf::FileDescriptor* const built = pool_.BuildFile(file);
    Check(built != nullptr, "the made-up request is a valid message");
    message_.reset(factory_.GetPrototype(built->message_type(0))->New());
  }

  google::protobuf::Message& message() { return *message_; }

  void SetStrength(double strength) {
    const auto* const field = message_->GetDescriptor()->FindFieldByName("strength");
    message_->GetReflection()->SetDouble(message_.get(), field, strength);
  }
  double Strength() const {
    const auto* const field = message_->GetDescriptor()->FindFieldByName("strength");
    return message_->GetReflection()->GetDouble(*message_, field);
  }

  // The table with a row for the field: all that its author has to write.
  static std::vector<RequestField> Rows() {
    std::vector<RequestField> rows(RequestFields().begin(), RequestFields().end());
    rows.push_back(
        {.name = "strength",
         .allowed = RealNumberIn{0, 1},
         .default_value = [](const DefaultSources&) -> std::optional<double> { return 0.5; },
         .png_place = PngPlace::kSettings,
         .png_keyword = "strength",
         .flag = "--strength",
         .help = "How much of it",
         .default_in_words = "0.5"});
    return rows;
  }

 private:
  google::protobuf::DescriptorPool pool_ =
      google::protobuf::DescriptorPool(google::protobuf::DescriptorPool::generated_pool());
  google::protobuf::DynamicMessageFactory factory_;
  std::unique_ptr<google::protobuf::Message> message_;
};

}  // namespace tessera::testing
