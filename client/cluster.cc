// SPDX-License-Identifier: Apache-2.0
#include "client/cluster.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <set>
#include <utility>

namespace lariat::client {

using std::chrono::milliseconds;

namespace {

constexpr size_t kBucketsMax = 4096;  // known at once; beyond, all are looked up anew
constexpr milliseconds kLookSoon{50};

// Rings name members by their places.
bool HaveSameNames(const Topology& a, const Topology& b) {
  return std::equal(a.members.begin(), a.members.end(), b.members.begin(), b.members.end(),
                    [](const Member& x, const Member& y) { return x.name == y.name; });
}

// The order in which nodes are asked: owners that serve, others that serve, and then those of which
// nothing good is heard.
int RankOf(bool is_owner, bool serves, const Node& node) {
  return (is_owner ? 0 : 1) + (serves && !node.IsSuspect() ? 0 : 2);
}

}  // namespace

Cluster::Cluster(boost::asio::io_context& loop, const ClientOptions& options, Counters& counters)
    : loop_(loop), options_(options), counters_(counters), timer_(loop) {
  LoadSecure(options.tls, &secure_);  // they were good when the options were checked
}

void Cluster::Close() {
  closed_ = true;
  timer_.cancel();
  for (const auto& [name, node] : nodes_) node->Close();
}

void Cluster::WhenKnown(std::function<void(const std::string&)> then) {
  if (topology_ != nullptr) return then({});
  waiting_.push_back(std::move(then));
  if (!look_) Begin();
}

std::shared_ptr<Node> Cluster::NodeAt(const std::string& address, Protocol protocol) {
  const bool http = protocol == Protocol::Http;
  std::shared_ptr<Node>& node = nodes_[(http ? "http " : "resp ") + address];
  if (node == nullptr) {
    auto make_wire = [http, address, login = Login{options_.user, options_.password}] {
      return http ? MakeHttpWire(address, login) : MakeRespWire(login);
    };
    node = std::make_shared<Node>(loop_, address, make_wire, options_, secure_, counters_);
  }
  return node;
}

std::shared_ptr<Node> Cluster::NodeOf(const Member& member) {
  const bool http = options_.protocol == Protocol::Http;
  return NodeAt(http ? member.http : member.resp, options_.protocol);
}

std::vector<std::shared_ptr<Node>> Cluster::Route(const std::string& bucket,
                                                  const std::string& key) {
  struct Candidate {
    int rank;
    size_t load;
    std::shared_ptr<Node> node;
  };
  std::vector<Candidate> candidates;
  const auto add = [&](const Member& member, bool is_owner) {
    std::shared_ptr<Node> node = NodeOf(member);
    const int rank = RankOf(is_owner, member.serves, *node);
    const size_t load = node->in_flight();
    candidates.push_back({rank, load, std::move(node)});
  };
  const std::vector<Member>& members = topology_->members;
  const std::vector<uint32_t>& owners = topology_->Owners(key, ReplicasOf(bucket));
  for (const uint32_t owner : owners) add(members[owner], true);
  // Any node serves any key. A few others are enough, in turns.
  const size_t most = owners.size() + static_cast<size_t>(options_.attempts);
  for (size_t i = 0; i < members.size() && candidates.size() < most; ++i) {
    const auto at = static_cast<uint32_t>((turn_ + i) % members.size());
    if (std::find(owners.begin(), owners.end(), at) == owners.end()) add(members[at], false);
  }
  ++turn_;
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.load < b.load;
  });
  std::vector<std::shared_ptr<Node>> nodes;
  for (Candidate& candidate : candidates) nodes.push_back(std::move(candidate.node));
  return nodes;
}

uint32_t Cluster::ReplicasOf(const std::string& bucket) {
  const std::lock_guard<std::mutex> lock(buckets_mutex_);
  if (buckets_.size() >= kBucketsMax && buckets_.count(bucket) == 0) buckets_.clear();
  Bucket& known = buckets_[bucket];
  if (!known.asked) {
    known.asked = true;
    boost::asio::post(loop_, [this, bucket] { AskBucket(bucket); });
  }
  return known.view.n;
}

std::optional<BucketView> Cluster::View(const std::string& bucket) const {
  const std::lock_guard<std::mutex> lock(buckets_mutex_);
  const auto found = buckets_.find(bucket);
  if (found == buckets_.end() || !found->second.known) return std::nullopt;
  return found->second.view;
}

void Cluster::AskBucket(const std::string& name) {
  if (closed_ || topology_ == nullptr) return;
  std::shared_ptr<Node> node = NodeAt(topology_->members.front().http, Protocol::Http);
  for (const Member& member : topology_->members) {
    const auto other = NodeAt(member.http, Protocol::Http);
    if (!member.serves || other->IsSuspect()) continue;
    node = other;
    break;
  }
  Fetch(node, "/v1/buckets/" + name, [this, name](const std::string* page, const std::string&) {
    bool wants_ring = false;
    {
      const std::lock_guard<std::mutex> lock(buckets_mutex_);
      Bucket& bucket = buckets_[name];
      bucket.known = page != nullptr && ParseBucket(*page, bucket.view);
      // A bucket that is not there may be made; a node may come back: asked again at the next use.
      bucket.asked = bucket.known;
      wants_ring = bucket.known && topology_->rings.count(bucket.view.n) == 0;
    }
    if (wants_ring) LookSoon();
  });
}

void Cluster::Fetch(const std::shared_ptr<Node>& node, std::string path, Page then) {
  auto request = std::make_shared<Request>();
  request->op = Request::Op::kFetch;
  request->path = std::move(path);
  auto exchange = std::make_shared<Exchange>();
  exchange->request = std::move(request);
  exchange->time = options_.attempt_timeout;
  // Shared by the answer and the limit, of which one comes first.
  auto limit = std::make_shared<boost::asio::steady_timer>(loop_, options_.attempt_timeout);
  exchange->done = [limit, then](Answer answer) {
    limit->cancel();
    if (answer.end != Answer::End::kReply) return then(nullptr, answer.message);
    if (answer.reply.code != Code::Ok) return then(nullptr, answer.reply.message);
    then(&answer.reply.values.front().bytes, {});
  };
  limit->async_wait([exchange, node, then](boost::system::error_code error) {
    if (error || exchange->done == nullptr) return;
    node->GiveUp(exchange);
    then(nullptr, node->address() + ": no answer in time");
  });
  node->Send(exchange);
}

// --- looking at the topology ---------------------------------------------------------------------

void Cluster::LookSoon() {
  // What is due soon is not put off, however much trouble there is.
  if (!look_ && timer_.expiry() > Clock::now() + kLookSoon) Schedule(kLookSoon);
}

void Cluster::Schedule(milliseconds in) {
  if (closed_) return;
  timer_.expires_after(in);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error && !look_) Begin();
  });
}

void Cluster::Begin() {
  if (closed_) return;
  look_.emplace();
  timer_.cancel();
  const auto add = [this](const std::string& address) {
    const auto node = NodeAt(address, Protocol::Http);
    auto& sources = look_->sources;
    if (std::find(sources.begin(), sources.end(), node) == sources.end()) sources.push_back(node);
  };
  if (topology_ != nullptr) {
    const std::vector<Member>& members = topology_->members;
    for (size_t i = 0; i < members.size(); ++i) add(members[(turn_ + i) % members.size()].http);
  }
  for (const std::string& address : options_.nodes) add(address);
  std::stable_partition(look_->sources.begin(), look_->sources.end(),
                        [](const auto& node) { return !node->IsSuspect(); });
  AskStatus();
}

void Cluster::AskStatus() {
  const auto on_page = [this](const std::string* page, const std::string& error) {
    if (closed_) return;
    if (page == nullptr) return NextSource(error);
    OnStatus(*page);
  };
  Fetch(look_->sources[look_->source], "/v1/cluster/status", on_page);
}

void Cluster::OnStatus(const std::string& page) {
  look_->found = std::make_shared<Topology>();
  if (!ParseStatus(page, *look_->found)) return NextSource("its status has no members");
  const std::vector<uint32_t> in_use = RingsInUse();
  const bool same = topology_ != nullptr && topology_->epoch == look_->found->epoch &&
                    topology_->is_changing == look_->found->is_changing &&
                    !look_->found->is_changing && HaveSameNames(*topology_, *look_->found);
  for (const uint32_t n : in_use) {
    const bool kept = same && topology_->rings.count(n) > 0;
    if (kept) {
      look_->found->rings[n] = topology_->rings.at(n);
    } else {
      look_->rings.push_back(n);
    }
  }
  AskRing();
}

void Cluster::AskRing() {
  if (look_->rings.empty()) return Install();
  const uint32_t n = look_->rings.back();
  Fetch(look_->sources[look_->source], "/v1/cluster/ring?n=" + std::to_string(n),
        [this, n](const std::string* page, const std::string& error) {
          if (closed_) return;
          if (page == nullptr) return NextSource(error);
          RingView ring;
          if (!ParseRing(*page, look_->found->members, ring)) return NextSource("its ring is none");
          look_->found->rings[n] = std::move(ring);
          look_->rings.pop_back();
          AskRing();
        });
}

void Cluster::NextSource(const std::string& error) {
  look_->errors += (look_->errors.empty() ? "" : "; ") + error;
  look_->rings.clear();
  if (++look_->source < look_->sources.size()) return AskStatus();
  End();
}

void Cluster::Install() {
  if (topology_ == nullptr || topology_->epoch != look_->found->epoch) {
    ++counters_.topology_changes;
    const std::lock_guard<std::mutex> lock(buckets_mutex_);
    for (auto& [name, bucket] : buckets_) bucket.asked = false;
  }
  topology_ = look_->found;
  // Nodes that are members no more are let go of; calls under way keep them.
  std::set<std::string> kept(options_.nodes.begin(), options_.nodes.end());
  for (const Member& member : topology_->members) kept.insert({member.http, member.resp});
  for (auto at = nodes_.begin(); at != nodes_.end();) {
    const bool idle = at->second->in_flight() == 0;
    if (kept.count(at->second->address()) > 0 || !idle) {
      ++at;
      continue;
    }
    at->second->Close();
    at = nodes_.erase(at);
  }
  End();
}

void Cluster::End() {
  const std::string error =
      topology_ == nullptr ? "no node told the topology: " + look_->errors : std::string();
  look_.reset();
  Schedule(options_.refresh);
  const auto waiting = std::move(waiting_);
  waiting_.clear();
  for (const auto& then : waiting) then(error);
}

std::vector<uint32_t> Cluster::RingsInUse() const {
  const std::lock_guard<std::mutex> lock(buckets_mutex_);
  std::set<uint32_t> in_use{BucketView().n};
  for (const auto& [name, bucket] : buckets_) in_use.insert(bucket.view.n);
  return {in_use.begin(), in_use.end()};
}

}  // namespace lariat::client
