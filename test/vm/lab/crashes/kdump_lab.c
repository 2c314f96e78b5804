// SPDX-License-Identifier: Dual MIT/GPL
// Dies in the way that is written into /sys/module/kdump_lab/parameters/how. For guests of the crash lab only.
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/nmi.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/timer.h>
#include <linux/version.h>
#include <asm/apic.h>
#include <asm/nmi.h>

struct lab_device {
	char name[0xe8];
	unsigned long counter;
};

static struct lab_device *lab_absent;
static struct timer_list lab_timer;

static noinline void lab_null(void)
{
	WRITE_ONCE(READ_ONCE(lab_absent)->counter, 1);
}

static noinline void lab_bug(void)
{
	BUG();
}

static noinline void lab_warn(void)
{
	WARN_ON_ONCE(true);
}

static noinline int lab_recurse(int depth)
{
	volatile char room[512];

	memset((void *)room, depth, sizeof(room));
	return lab_recurse(depth + 1) + room[depth & 511];
}

static void lab_on_cpu(void *unused)
{
	lab_null();
}

static void lab_tick(struct timer_list *unused)
{
	lab_null();
}

static noinline void lab_spin(void)
{
	preempt_disable();
	for (;;)
		cpu_relax();
}

static int lab_never_woken(void *unused)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule();
	return 0;
}

static int lab_nmi(unsigned int type, struct pt_regs *regs)
{
	panic("kdump_lab: told to die in an NMI");
	return NMI_HANDLED;
}

static void lab_send_nmi(int cpu)
{
	register_nmi_handler(NMI_LOCAL, lab_nmi, 0, "kdump_lab");
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	__apic_send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
#else
	apic->send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
#endif
}

static int lab_die(const char *how, const struct kernel_param *unused)
{
	int cpu = 0;

	if (sysfs_streq(how, "bug"))
		lab_bug();
	else if (sysfs_streq(how, "null"))
		lab_null();
	else if (sysfs_streq(how, "warn"))
		lab_warn();
	else if (sysfs_streq(how, "softirq"))
		mod_timer(&lab_timer, jiffies + 1);
	else if (sscanf(how, "hardirq %d", &cpu) == 1)
		smp_call_function_single(cpu, lab_on_cpu, NULL, 0);
	else if (sscanf(how, "nmi %d", &cpu) == 1)
		lab_send_nmi(cpu);
	else if (sysfs_streq(how, "stack"))
		return lab_recurse(0);
	else if (sysfs_streq(how, "hung"))
		kthread_run(lab_never_woken, NULL, "lab_hung");
	else if (sysfs_streq(how, "spin"))
		lab_spin();
	else if (sysfs_streq(how, "leave"))
		mod_timer(&lab_timer, jiffies + HZ);
	else
		return -EINVAL;
	return 0;
}

static const struct kernel_param_ops lab_how = { .set = lab_die };
module_param_cb(how, &lab_how, NULL, 0200);

static int __init lab_init(void)
{
	timer_setup(&lab_timer, lab_tick, 0);
	return 0;
}

/* The timer is left behind on purpose: "leave" wants the module to be gone when it fires. */
static void __exit lab_exit(void)
{
}

module_init(lab_init);
module_exit(lab_exit);
MODULE_DESCRIPTION("Dies in many ways");
MODULE_LICENSE("Dual MIT/GPL");
