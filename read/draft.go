package read

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/premortem/premortem"
)

// Draft collects what files say before it is known what belongs together. The zero
// Draft is ready for use. It is not safe for concurrent use: each file has its own.
type Draft struct {
	deployments  []*premortem.Deployment
	workloads    []*workload
	stores       []*premortem.Store
	balancers    []*balancer
	dockerfiles  []*dockerfile
	packages     []*npmPackage
	runtimes     []runtimeFact
	envFiles     []*envFile
	samples      []*premortem.EnvSample
	modules      []*module
	programs     []*program
	goModules    []goModule
	sqlFiles     []*sqlFile
	djangoModels map[string]*djangoModel // after migrate
	manifests    []*manifest
	builds       []imageBuild
	composeNames []premortem.Setting[string]
	configs      []*config
	servers      []*premortem.Server
	locked       []lockedVersion
	calls        []*premortem.Call
	retries      []*premortem.Retry
	transactions []*premortem.Transaction
	logs         []*premortem.LogCall
	installs     []*premortem.Install
	baked        []*premortem.Baked
	pipeline     []*premortem.PipelineUse
	flows        []*workflowFile
	rollouts     []rollout
	proxies      []*proxyFile
	poolFiles    []*iniFile
	poolers      []*premortem.Pooler
	jobInstalls  []jobInstall
	credentials  []*premortem.Credential
	certificates []*premortem.Certificate
	suppressions []premortem.Suppression
	unread       []premortem.Unread
	fatal        error // premortem.yaml is wrong
	tree         *Tree // set once all files are read
}

// miss records a place that matters and was not understood.
func (d *Draft) miss(pos premortem.Pos, why string) {
	if pos.Line < 1 {
		pos.Line = 1
	}
	d.unread = append(d.unread, premortem.Unread{Pos: pos, Why: why})
}

// join adds the facts of another draft after those of d.
func (d *Draft) join(o *Draft) {
	d.deployments = append(d.deployments, o.deployments...)
	d.workloads = append(d.workloads, o.workloads...)
	d.stores = append(d.stores, o.stores...)
	d.balancers = append(d.balancers, o.balancers...)
	d.dockerfiles = append(d.dockerfiles, o.dockerfiles...)
	d.packages = append(d.packages, o.packages...)
	d.runtimes = append(d.runtimes, o.runtimes...)
	d.envFiles = append(d.envFiles, o.envFiles...)
	d.samples = append(d.samples, o.samples...)
	d.modules = append(d.modules, o.modules...)
	d.programs = append(d.programs, o.programs...)
	d.goModules = append(d.goModules, o.goModules...)
	d.sqlFiles = append(d.sqlFiles, o.sqlFiles...)
	d.manifests = append(d.manifests, o.manifests...)
	d.builds = append(d.builds, o.builds...)
	d.composeNames = append(d.composeNames, o.composeNames...)
	d.configs = append(d.configs, o.configs...)
	d.servers = append(d.servers, o.servers...)
	d.locked = append(d.locked, o.locked...)
	d.calls = append(d.calls, o.calls...)
	d.retries = append(d.retries, o.retries...)
	d.transactions = append(d.transactions, o.transactions...)
	d.logs = append(d.logs, o.logs...)
	d.installs = append(d.installs, o.installs...)
	d.baked = append(d.baked, o.baked...)
	d.pipeline = append(d.pipeline, o.pipeline...)
	d.flows = append(d.flows, o.flows...)
	d.rollouts = append(d.rollouts, o.rollouts...)
	d.proxies = append(d.proxies, o.proxies...)
	d.poolFiles = append(d.poolFiles, o.poolFiles...)
	d.poolers = append(d.poolers, o.poolers...)
	d.jobInstalls = append(d.jobInstalls, o.jobInstalls...)
	d.credentials = append(d.credentials, o.credentials...)
	d.certificates = append(d.certificates, o.certificates...)
	d.suppressions = append(d.suppressions, o.suppressions...)
	d.unread = append(d.unread, o.unread...)
	if d.fatal == nil {
		d.fatal = o.fatal
	}
}

// workload is one thing that a deployment runs: a service, or a store in a
// container. The embedded Service holds what the deployment says; the rest is what
// ties it to code and to the other deployments.
type workload struct {
	premortem.Service
	name       string                      // as the deployment calls it
	plain      string                      // as its file calls it, before prefixes
	kind       string                      // of the store it is, "" a service
	context    string                      // build context, "" none
	target     string                      // stage that is built, "" the last
	entrypoint premortem.Setting[[]string] // what the manifest puts over the image's
	command    premortem.Setting[[]string]
	hosts      []string // names under which others reach it
	needs      []need   // names of what it is started after
	memory     premortem.Setting[int64]
	port       premortem.Setting[int]
	pinned     bool          // Dockerfile was named, not guessed
	init       premortem.Pos // what puts another process 1 before it, zero nothing
	stopSignal premortem.Setting[string]
	noCheck    bool // the manifest turns the image's health check off
	built      bool // the deployment builds the image, with the arguments in given
	given      []premortem.EnvSet
	mounts     []copied // files of the repository that are mounted
	pod        *object  // it was made of, nil outside of a cluster
	podPath    []string // of the pod's spec in it
}

// need is a name that a workload refers to, with the line that does.
type need struct {
	name      string
	pos       premortem.Pos
	condition premortem.Setting[string] // how far the other must be, silent nothing is said
}

// balancer is a Balancer that names its target as its deployment does.
type balancer struct {
	premortem.Balancer
	to string
}

// runtimeFact is a Runtime and the folder it speaks for.
type runtimeFact struct {
	dir     string
	service string // name of the workload's Dockerfile, "" for a folder
	premortem.Runtime
}

// imageBuild is a line that builds an image from a Dockerfile.
type imageBuild struct {
	repository string // without tag
	dockerfile string
	context    string
	pos        premortem.Pos
	args       []premortem.EnvSet // what it passes to the Dockerfile
	open       bool               // some of its arguments are computed
}

// lineOf quotes a line of a manifest, "" for one of another file.
func (d *Draft) lineOf(pos premortem.Pos) string {
	for _, m := range d.manifests {
		if m.Path == pos.File {
			lines := strings.Split(string(m.Data), "\n")
			if pos.Line >= 1 && pos.Line <= len(lines) {
				return Mask(m.Path, lines[pos.Line-1])
			}
		}
	}
	return ""
}

// hashKey keys the hashes of one process. It is never written down, so a hash says
// no more than that two values of one reading are equal.
var hashKey = func() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}()

func hash(value string) string {
	m := hmac.New(sha256.New, hashKey)
	m.Write([]byte(value))
	return hex.EncodeToString(m.Sum(nil)[:8])
}
