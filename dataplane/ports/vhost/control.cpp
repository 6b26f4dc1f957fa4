#include "dataplane/ports/vhost/control.h"

namespace weir::dataplane::vhost {

Status Control::begin(api::Fd socket) {
  device_.emplace(device_config_);
  channel_.emplace(loop_, lane_, static_cast<Channel::Owner&>(*this), std::move(socket));
  if (Status started = channel_->start(); !started) return started;
  callbacks_.connected(channel_->credentials());
  return {};
}

void Control::end() {
  channel_.reset();
  device_.reset();
  if (held_) lane_.close(std::move(held_->files));
  held_.reset();
  running_ = 0;
}

void Control::on_failure(const std::string& reason) {
  end();
  callbacks_.disconnected(reason);
}

bool Control::on_message(const Message& message, std::vector<api::Fd>& files) {
  if (running_ == 0 || !device_->disturbs(message)) return receive(message, files);
  stop_rings(Held{message, std::move(files)});
  files.clear();
  return false;
}

void Control::stop_rings(std::optional<Held> held) {
  held_ = std::move(held);
  channel_->hold(true);
  callbacks_.stop(*device_, [this] { rings_stopped(); });
}

void Control::rings_stopped() {
  running_ = 0;
  channel_->hold(false);
  if (!held_) {
    match_rings(Request::set_vring_enable);
    return;
  }
  Held held = std::move(*held_);
  held_.reset();
  receive(held.message, held.files);
  lane_.close(std::move(held.files));
}

// False: the channel is gone, or held.
bool Control::receive(const Message& message, std::vector<api::Fd>& files) {
  const auto reply = device_->receive(message, files);
  if (!reply) return on_failure(reply.error().text), false;
  if (*reply && !channel_->send(**reply))
    return on_failure("front-end does not read its socket"), false;
  return match_rings(message.header.request);
}

// Starts rings that can run now, and stops those that cannot any more.
bool Control::match_rings(Request request) {
  const uint8_t ready = device_->ready_pairs();
  if (ready != running_) {
    if (running_ > 0) return stop_rings(std::nullopt), false;
    if (const Status started = callbacks_.start(*device_); !started)
      return on_failure(started.error().text), false;
    running_ = ready;
  } else if (running_ > 0 &&
             (request == Request::set_vring_kick || request == Request::set_vring_call)) {
    callbacks_.files_changed(*device_);
  }
  return true;
}

}  // namespace weir::dataplane::vhost
