#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "common/request/request_fields.h"

namespace tessera {

// Access to a field of a request by its row in the table of fields. Fields are numbers, booleans,
// texts and enums. A row that the message lacks, or a field of another type, breaks an invariant
// and ends the process. Thread-safe.

const google::protobuf::FieldDescriptor& FieldOf(const google::protobuf::Message& request,
                                                 const RequestField& row);

// Whether the request says anything about the field; one without presence, other than zero.
bool IsGiven(const google::protobuf::Message& request, const RequestField& row);

// The value as people read it: a number in decimal, a text as it is, an enum's value as EnumWord.
std::string FieldText(const google::protobuf::Message& request, const RequestField& row);

// Of a number, a boolean or an enum.
double FieldNumber(const google::protobuf::Message& request, const RequestField& row);
void SetFieldNumber(google::protobuf::Message& request, const RequestField& row, double value);

// TEXT_MODE_SPLIT of TextMode is "split".
std::string EnumWord(const google::protobuf::EnumValueDescriptor& value);

}  // namespace tessera
